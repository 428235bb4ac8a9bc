package codec

import (
	"context"
	"slices"
	"strconv"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Source is what Check asks: an *eventstream.Repository.
type Source interface {
	UnknownTypes(ctx context.Context, known ...eventstream.KnownType) ([]eventstream.UnknownType, error)
}

// Check compares what the registries know together with what the store holds, and returns the types and schema versions that none of them
// knows, with how many events there are of each and the first of them; none if every event can be read. It is for the start of a process, or
// for a test against a copy of production.
//
// Without an index it reads the whole table; docs/modelling.md has the index that makes it a look at each type, and what both cost.
func Check(ctx context.Context, source Source, registries ...*Registry) ([]eventstream.UnknownType, error) {
	var known []eventstream.KnownType
	for i, r := range registries {
		if r == nil {
			return nil, invalid.Value("registry "+strconv.Itoa(i+1), "nil", "one that New made")
		}
		known = append(known, r.Types()...)
	}
	unknown, err := source.UnknownTypes(ctx, known...)
	return slices.DeleteFunc(unknown, func(u eventstream.UnknownType) bool {
		return isOfTheStore(u.Type) && !slices.ContainsFunc(registries, func(r *Registry) bool { return r.names[u.Type] != nil })
	}), err
}
