package throughput

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// importedStream is how many events an imported stream has.
	importedStream = 10
	// importedTogether is how many streams of the source are interleaved.
	importedTogether = 100
)

var (
	copiedTable   = pgx.Identifier{"bare", "copied"}
	copiedColumns = []string{"version", "event_id", "occurred_at", "partition_id", "stream_id", "type", "payload"}
)

// prepareImport compares taking over the events of another store. Both sides read the same kind of source, with new streams for each call.
func prepareImport(_ context.Context, s *store) ([]side, error) {
	n := max(s.sizes.imported/importedStream, 1) * importedStream
	raw := func(ctx context.Context) (int, error) {
		next, stop := iter.Pull2(source(n))
		defer stop()
		copied, err := s.Raw.CopyFrom(ctx, copiedTable, copiedColumns, pgx.CopyFromFunc(func() ([]any, error) { return copyRow(next()) }))
		return all(int(copied), n, err)
	}
	gapless := func(ctx context.Context) (int, error) {
		result, err := s.Repo.Import(ctx, source(n))
		return all(int(result.Imported), n, err)
	}
	return s.both(func(int) call { return raw }, func(int) call { return gapless },
		counts(s.Raw, countCopied, 0), counts(s.Gapless, countGapless, 0)), nil
}

// copyRow lays out an event for COPY; no row ends it.
func copyRow(e eventstream.Event, err error, ok bool) ([]any, error) {
	if !ok || err != nil {
		return nil, err
	}
	return []any{
		e.Version, [16]byte(e.ID), e.OccurredAt, int32(e.PartitionID), string(e.StreamID), string(e.Type), []byte(e.Payload),
	}, nil
}

// source gives n events of new streams, many streams at a time: the first event of each, then the second, and so on.
func source(n int) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		for left := n / importedStream; left > 0; left -= importedTogether {
			together := make([]*baseline.Stream, min(importedTogether, left))
			for i := range together {
				together[i] = baseline.NewStream()
			}
			for i := range importedStream * len(together) {
				if !yield(nextEvent(together[i%len(together)])) {
					return
				}
			}
		}
	}
}

// nextEvent makes an event as another store gives it: with its place in its stream.
func nextEvent(s *baseline.Stream) (eventstream.Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return eventstream.Event{}, fmt.Errorf("cannot draw an event id: %w", err)
	}
	s.Version++
	return eventstream.Event{
		ID: id, StreamID: s.ID, Version: s.Version, PartitionID: int(s.Partition), Type: baseline.EventType,
		Payload: json.RawMessage(baseline.Payload), OccurredAt: time.Now(),
	}, nil
}
