package eventstream

import (
	"context"
	"math"
	"strconv"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
)

// KnownType is a type of events that a program can read, in some schema versions.
type KnownType struct {
	// Type is the name of the type.
	Type EventType
	// Oldest and Newest are the schema versions that can be read, these included. An event whose metadata have no schema_version has 1, and one
	// whose schema_version cannot be one has 0.
	Oldest, Newest int
}

// UnknownType is what a store holds of a type and schema version that a program cannot read.
type UnknownType struct {
	// Type and SchemaVersion are what the events have in common.
	Type          EventType
	SchemaVersion int
	// Events is how many there are.
	Events int64
	// EventID, StreamID and Version are the first of them in the log.
	EventID  uuid.UUID
	StreamID StreamID
	Version  int64
}

// UnknownTypes returns the types and schema versions of all events that are not among the known ones, in order of their names; see package
// codec, which knows those of a program. It reads the whole table, unless it has the index events_type_schema_idx that docs/modelling.md shows.
func (r *Repository) UnknownTypes(ctx context.Context, known ...KnownType) ([]UnknownType, error) {
	p := db.EventListUnknownTypesParams{
		Types: make([]string, len(known)), Oldest: make([]int32, len(known)), Newest: make([]int32, len(known)),
	}
	for i, k := range known {
		if err := k.validate(); err != nil {
			return nil, err
		}
		p.Types[i], p.Oldest[i], p.Newest[i] = string(k.Type), int32(k.Oldest), int32(k.Newest)
	}
	rows, err := r.queries.EventListUnknownTypes(ctx, r.handle, p)
	if err != nil {
		return nil, mapError(err)
	}
	unknown := make([]UnknownType, len(rows))
	for i, row := range rows {
		unknown[i] = UnknownType{
			Type: EventType(row.Type), SchemaVersion: int(row.SchemaVersion), Events: row.Events,
			EventID: row.EventID, StreamID: StreamID(row.StreamID), Version: row.Version,
		}
	}
	return unknown, nil
}

func (k KnownType) validate() error {
	if err := k.Type.Validate(); err != nil {
		return err
	}
	for _, version := range []int{k.Oldest, k.Newest} {
		if version < 0 || version > math.MaxInt32 {
			return invalidValue("schema version of "+string(k.Type), strconv.Itoa(version), "from 0 to 2147483647")
		}
	}
	return nil
}
