package baseline

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
)

// Both tables are written by the same statements, in the form that is cheapest for one row and for many.
const (
	intoBare   = `INSERT INTO bare.events `
	intoEvents = `INSERT INTO eventstream.events `

	columns = `(version, event_id, occurred_at, partition_id, stream_id, type, payload) `
	values  = columns + `VALUES ($1, $2, $3, $4, $5, $6, $7)`
	arrays  = columns + `
SELECT u.version, u.event_id, u.occurred_at, u.partition_id, u.stream_id, u.type, u.payload
FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::integer[], $5::text[], $6::text[], $7::jsonb[])
    AS u (version, event_id, occurred_at, partition_id, stream_id, type, payload)`

	// InsertColumns begins an INSERT into bare.events of the columns that writers give.
	InsertColumns = intoBare + columns
)

// Handle is what a statement runs on: a pool or a connection.
type Handle interface {
	Exec(ctx context.Context, statement string, arguments ...any) (pgconn.CommandTag, error)
}

// Target is a table to write to by INSERT.
type Target struct{ one, many string }

// Bare is the table that has no rules.
func Bare() Target { return Target{one: intoBare + values, many: intoBare + arrays} }

// Events is the table of Gapless: the gate alone stands in the way.
func Events() Target { return Target{one: intoEvents + values, many: intoEvents + arrays} }

// Rows are events as arrays, one for each column: the form that is cheapest for many rows.
type Rows struct {
	versions   []int64
	ids        [][16]byte
	occurredAt []time.Time
	partitions []int32
	streamIDs  []string
	types      []string
	payloads   []string
}

// Add lays out the next n events of a stream, and moves it on.
func (r *Rows) Add(s *Stream, n int) error {
	for range n {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		s.Version++
		r.versions = append(r.versions, s.Version)
		r.ids = append(r.ids, id)
		r.occurredAt = append(r.occurredAt, time.Now())
		r.partitions = append(r.partitions, s.Partition)
		r.streamIDs = append(r.streamIDs, string(s.ID))
		r.types = append(r.types, EventType)
		r.payloads = append(r.payloads, Payload)
	}
	return nil
}

// Insert writes all rows by one statement.
func (t Target) Insert(ctx context.Context, on Handle, r *Rows) (int, error) {
	var tag pgconn.CommandTag
	var err error
	if len(r.versions) == 1 {
		tag, err = on.Exec(ctx, t.one, r.versions[0], r.ids[0], r.occurredAt[0], r.partitions[0], r.streamIDs[0], r.types[0], r.payloads[0])
	} else {
		tag, err = on.Exec(ctx, t.many, r.versions, r.ids, r.occurredAt, r.partitions, r.streamIDs, r.types, r.payloads)
	}
	if err == nil && int(tag.RowsAffected()) != len(r.versions) {
		err = fmt.Errorf("%d of %d rows inserted", tag.RowsAffected(), len(r.versions))
	}
	return len(r.versions), err
}

// InsertNext adds n events to each stream, whose version its one writer knows.
func (t Target) InsertNext(ctx context.Context, on Handle, n int, streams ...*Stream) (int, error) {
	var r Rows
	for _, s := range streams {
		if err := r.Add(s, n); err != nil {
			return 0, err
		}
	}
	return t.Insert(ctx, on, &r)
}
