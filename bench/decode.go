package main

import (
	"context"
	"fmt"

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

// scanEvent reads a row into the fields of an event, each by the shortest way that pgx has.
func scanEvent(rows pgx.Rows, e *eventstream.Event) error {
	err := rows.Scan(&e.Position, &e.Version, (*[16]byte)(&e.ID), &e.OccurredAt, &e.RecordedAt, &e.PartitionID,
		(*string)(&e.StreamID), (*string)(&e.TenantID), (*string)(&e.Type), (*[]byte)(&e.Payload), &e.Data, (*[]byte)(&e.Metadata))
	e.OccurredAt, e.RecordedAt = e.OccurredAt.UTC(), e.RecordedAt.UTC()
	return err
}

// selectEvents loads a stream as an application would by hand.
func (s *store) selectEvents(ctx context.Context, id eventstream.StreamID) ([]eventstream.Event, error) {
	rows, err := s.raw.Query(ctx, selectStream, string(id))
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

// selectAll goes through the log and keeps nothing.
func (s *store) selectAll(ctx context.Context) (n int, err error) {
	rows, err := s.raw.Query(ctx, selectLog)
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

// all makes sure that a reader got everything.
func all(n, want int, err error) (int, error) {
	if err == nil && n != want {
		err = fmt.Errorf("%d events read of %d", n, want)
	}
	return n, err
}
