package baseline

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	selectColumns = `
SELECT position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
FROM eventstream.events`
	selectStream = selectColumns + ` WHERE stream_id = $1 ORDER BY version`
	selectLog    = selectColumns + ` ORDER BY position`
)

// Reader is what a query runs on: a pool or a connection.
type Reader interface {
	Query(ctx context.Context, statement string, arguments ...any) (pgx.Rows, error)
}

// scanEvent reads a row into the fields of an event, each by the shortest way that pgx has.
func scanEvent(rows pgx.Rows, e *eventstream.Event) error {
	err := rows.Scan(&e.Position, &e.Version, (*[16]byte)(&e.ID), &e.OccurredAt, &e.RecordedAt, &e.PartitionID,
		(*string)(&e.StreamID), (*string)(&e.TenantID), (*string)(&e.Type), (*[]byte)(&e.Payload), &e.Data, (*[]byte)(&e.Metadata))
	e.OccurredAt, e.RecordedAt = e.OccurredAt.UTC(), e.RecordedAt.UTC()
	return err
}

// SelectStream loads a stream as an application would by hand.
func SelectStream(ctx context.Context, on Reader, id eventstream.StreamID) ([]eventstream.Event, error) {
	rows, err := on.Query(ctx, selectStream, string(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var events []eventstream.Event
	for rows.Next() {
		events = append(events, eventstream.Event{})
		if err := scanEvent(rows, &events[len(events)-1]); err != nil {
			return nil, err
		}
	}
	return events, rows.Err()
}

// SelectLog goes through the log and keeps nothing.
func SelectLog(ctx context.Context, on Reader) (n int, err error) {
	rows, err := on.Query(ctx, selectLog)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var e eventstream.Event
		if err := scanEvent(rows, &e); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}
