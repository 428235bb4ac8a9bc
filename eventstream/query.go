package eventstream

import (
	"encoding/json"
	"strconv"
)

// Query selects events that carry tags: those that match one of its alternatives, of which it has 1 to 32. Events without tags match no query.
type Query []QueryItem

// QueryItem is one alternative of a Query: an event matches that is of one of the types and carries all of the tags. It needs a type or a
// tag, and has at most 32 of each.
type QueryItem struct {
	// Types are the types that match. Default: nil, which is every type.
	Types []EventType `json:"types,omitempty"`
	// Tags must all be there. AppendIf holds the first one: put the tag first that the fewest events carry, as the account before the country.
	// Default: nil, which asks for no particular one; AppendIf then holds the types.
	Tags []string `json:"tags,omitempty"`
}

// maxQueryItems bounds the alternatives of a query, and the types and the tags of each.
const maxQueryItems = 32

// wire is the query as the SQL functions take it.
func (q Query) wire() (json.RawMessage, error) {
	if len(q) < 1 || len(q) > maxQueryItems {
		return nil, invalidValue("query", strconv.Itoa(len(q))+" alternatives", "1 to 32 alternatives")
	}
	for i, item := range q {
		if err := item.validate("alternative " + strconv.Itoa(i+1) + " of the query"); err != nil {
			return nil, err
		}
	}
	return marshalJSON("query", q)
}

func (i QueryItem) validate(field string) error {
	if len(i.Types)+len(i.Tags) == 0 {
		return invalidValue(field, "none", "with a type or a tag")
	}
	if len(i.Types) > maxQueryItems {
		return invalidValue(field, strconv.Itoa(len(i.Types))+" types", "with at most 32 types")
	}
	for _, t := range i.Types {
		if err := t.Validate(); err != nil {
			return err
		}
	}
	return checkTags(field, i.Tags)
}
