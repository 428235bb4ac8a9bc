package eventstream

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// rowsOf is a Handle that keeps the rows of a query to itself and gives none to the generated function that asked for them: that
// would collect them in a slice that grows, and what a page costs is mostly memory. The query and its arguments stay the generated ones.
type rowsOf struct {
	Handle
	rows pgx.Rows
}

// Query runs a query, keeps its rows, and returns none.
func (r *rowsOf) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := r.Handle.Query(ctx, sql, args...)
	r.rows = rows
	return noRows{}, err
}

// collect reads the rows, which have the columns of eventstream.events in their order, into a buffer if its capacity will do.
func (r *rowsOf) collect(buffer []LogEvent, room int) ([]LogEvent, error) {
	defer r.rows.Close()
	events := buffer[:0]
	if cap(events) < room {
		events = make([]LogEvent, 0, room)
	}
	var stream, tenant, kind string
	var partition int32
	for r.rows.Next() {
		events = append(events, LogEvent{})
		e := &events[len(events)-1]
		err := r.rows.Scan(&e.Position, &e.Version, &e.ID, &e.OccurredAt, &e.RecordedAt, &partition, &stream, &tenant, &kind,
			(*[]byte)(&e.Payload), &e.Data, (*[]byte)(&e.Metadata))
		if err != nil {
			return nil, err
		}
		e.PartitionID, e.StreamID, e.TenantID, e.Type = int(partition), StreamID(stream), TenantID(tenant), EventType(kind)
		e.OccurredAt, e.RecordedAt = e.OccurredAt.UTC(), e.RecordedAt.UTC()
		e.dropNullPayload()
	}
	return events, r.rows.Err()
}

// noRows is a result without rows.
type noRows struct{ pgx.Rows }

// Next says that there is no row.
func (noRows) Next() bool { return false }

// Err says that nothing went wrong.
func (noRows) Err() error { return nil }

// Close does nothing.
func (noRows) Close() {}
