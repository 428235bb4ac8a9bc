package cpu

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
)

// shape says which streams the events of a call go to.
type shape int

const (
	single shape = iota // one that exists
	fresh               // one that does not exist yet
	spread              // as many as there are events, all of which exist
	long                // many events to one that exists
)

// targets gives the streams of a call; so many if it has several.
func (s shape) targets(own *baseline.Streams, several int) []*baseline.Stream {
	switch s {
	case fresh:
		return []*baseline.Stream{baseline.NewStream()}
	case spread:
		return own.Several(several)
	default:
		return own.Several(1)
	}
}

// writer writes so many events to each of the streams in one call.
type writer func(ctx context.Context, b *benchmark, to []*baseline.Stream, events int) error

// testCase is one way to write, measured again and again.
type testCase struct {
	name   string
	shape  shape
	events int // to each stream
	bare   bool
	write  writer
}

// size is the number of events of a call.
func (c testCase) size() int {
	if c.shape == spread {
		return batchSize * c.events
	}
	return c.events
}

func (b *benchmark) streamsOf(c testCase) *baseline.Streams {
	if c.bare {
		return b.bare
	}
	return b.gate
}

// groups gives what is measured: cases of one shape, the first of which is what the others are compared with. A bare table knows no new
// streams.
func groups() [][]testCase {
	return [][]testCase{
		{
			{"bare INSERT: 1 event", single, 1, true, insertBare},
			{"Append: 1 event, existing stream", single, 1, false, appendTo},
			{"Append: 1 event, new stream", fresh, 1, false, appendTo},
			{"append_batch: 1 event, existing stream", single, 1, false, appendBatch},
			{"append_batch: 1 event, new stream", fresh, 1, false, appendBatch},
			{"INSERT through the gate: 1 event", single, 1, false, insertGate},
		},
		{
			{"bare INSERT: 100 events, one stream", long, batchSize, true, insertBare},
			{"Append: 100 events, one stream", long, batchSize, false, appendTo},
			{"append_batch: 100 events, one stream", long, batchSize, false, appendBatch},
			{"INSERT through the gate: 100 events, one stream", long, batchSize, false, insertGate},
		},
		{
			{"bare INSERT: 100 events, 100 streams", spread, 1, true, insertBare},
			{"AppendMany: 100 requests, 100 streams", spread, 1, false, appendMany},
			{"append_batch: 100 requests, 100 streams", spread, 1, false, appendBatch},
			{"INSERT through the gate: 100 events, 100 streams", spread, 1, false, insertGate},
		},
	}
}

// insertBare writes to the table that has no rules.
func insertBare(ctx context.Context, b *benchmark, to []*baseline.Stream, events int) error {
	_, err := baseline.Bare().InsertNext(ctx, b.conn, events, to...)
	return err
}

// insertGate writes past the functions: the gate alone stands in the way.
func insertGate(ctx context.Context, b *benchmark, to []*baseline.Stream, events int) error {
	_, err := baseline.Events().InsertNext(ctx, b.conn, events, to...)
	return err
}

// appendTo appends to one stream, at its exact version.
func appendTo(ctx context.Context, b *benchmark, to []*baseline.Stream, n int) error {
	events, err := baseline.NewEvents(n)
	if err != nil {
		return err
	}
	result, err := b.repo.Append(ctx, to[0].ID, eventstream.Exact(to[0].Version), events...)
	if err != nil {
		return err
	}
	return moved(to[0], n, result.LastVersion)
}

// appendMany appends to each stream, at its exact version, all or nothing.
func appendMany(ctx context.Context, b *benchmark, to []*baseline.Stream, n int) error {
	requests := make([]eventstream.AppendRequest, len(to))
	for i, s := range to {
		events, err := baseline.NewEvents(n)
		if err != nil {
			return err
		}
		requests[i] = eventstream.AppendRequest{StreamID: s.ID, Expected: eventstream.Exact(s.Version), Events: events}
	}
	results, err := b.repo.AppendMany(ctx, requests...)
	if err != nil {
		return err
	}
	for i, s := range to {
		if err := moved(s, n, results[i].LastVersion); err != nil {
			return err
		}
	}
	return nil
}

// appendBatch calls the function for batches without what the repository does: the same statement, with no more arguments than it needs.
func appendBatch(ctx context.Context, b *benchmark, to []*baseline.Stream, n int) error {
	p := db.AppendBatchParams{Atomic: true}
	for _, s := range to {
		p.StreamIds = append(p.StreamIds, string(s.ID))
		p.Expected = append(p.Expected, s.Version)
		p.EventCounts = append(p.EventCounts, int32(n))
		for range n {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			p.EventIds = append(p.EventIds, id.String())
			p.Types = append(p.Types, baseline.EventType)
			p.Payloads = append(p.Payloads, json.RawMessage(baseline.Payload))
			p.OccurredAt = append(p.OccurredAt, time.Now())
		}
	}
	rows, err := db.New().AppendBatch(ctx, b.conn, p)
	if err != nil {
		return err
	}
	for i, s := range to {
		if err := moved(s, n, rows[i].LastVersion); err != nil {
			return err
		}
	}
	return nil
}

// moved makes sure that what was measured is an append, and moves the stream on.
func moved(s *baseline.Stream, n int, version int64) error {
	s.Version += int64(n)
	if version != s.Version {
		return fmt.Errorf("stream %s: %d events gave version %d; want %d", s.ID, n, version, s.Version)
	}
	return nil
}
