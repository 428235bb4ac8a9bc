package eventstream

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// MaxTags bounds the tags of an event.
const MaxTags = 32

// tagsKey is the key of an event's metadata under which its tags are: an array of strings.
const tagsKey = "tags"

const tagsRule = "an array of at most 32 strings, each " + nameRule

// WithTags adds tags: what the event is about beside its stream, as "course:7" and "student:9". A Query finds the event by them, and AppendIf
// decides on what it finds. Each is 1 to 128 bytes of UTF-8, without control characters, and without white space at either end; MaxTags at
// most; one that the event has already is not added again. They are kept in the metadata, under the key "tags", whatever the order of WithTags and
// WithMetadata. Default: none, and such an event takes no part in decisions.
func WithTags(tags ...string) EventOption {
	return func(e *Event) error {
		text, err := mergeTags(e.Metadata, tags)
		if err != nil {
			return err
		}
		e.Metadata = text
		return nil
	}
}

// Tags returns the tags of the event, in their order; nil if it has none.
func (e Event) Tags() []string {
	tags, _ := tagsOf(e.Metadata)
	return tags
}

// tagsOf reads the tags in metadata, which are a JSON object or nothing. Most metadata have none, and are not parsed.
func tagsOf(metadata json.RawMessage) ([]string, error) {
	// Or its letters are escaped.
	if !bytes.Contains(metadata, []byte(`"`+tagsKey+`"`)) && !bytes.Contains(metadata, []byte(`\u`)) {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(metadata, &fields); err != nil {
		return nil, invalidValue("metadata", string(metadata), "a JSON object")
	}
	text, found := fields[tagsKey]
	if !found {
		return nil, nil
	}
	// A null in the array would pass for an empty string, which is refused too.
	var tags []string
	if err := json.Unmarshal(text, &tags); err != nil || tags == nil {
		return nil, invalidValue(tagsKey, string(text), tagsRule)
	}
	return tags, checkTags(tagsKey, tags)
}

func checkTags(field string, tags []string) error {
	if len(tags) > MaxTags {
		return invalidValue(field, strconv.Itoa(len(tags))+" tags", tagsRule)
	}
	for _, tag := range tags {
		if !validName(tag) {
			return invalidValue(field, tag, tagsRule)
		}
	}
	return nil
}

// mergeTags gives metadata with these tags too.
func mergeTags(metadata json.RawMessage, more []string) (json.RawMessage, error) {
	tags, err := tagsOf(metadata)
	if err != nil || len(more) == 0 {
		return metadata, err
	}
	for _, tag := range more {
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if err := checkTags(tagsKey, tags); err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if metadata != nil {
		if err := json.Unmarshal(metadata, &fields); err != nil {
			return nil, invalidValue("metadata", string(metadata), "a JSON object")
		}
	}
	if fields[tagsKey], err = marshalJSON(tagsKey, tags); err != nil {
		return nil, err
	}
	return marshalJSON("metadata", fields)
}

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
