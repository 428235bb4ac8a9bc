package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// few is how many events may be left for the moment in which writers wait.
	few = 1000
	// margin is how far before the last id a pass begins: a transaction that drew a lower id may have committed since.
	margin = 10_000
	// maxPasses ends catching up where writers are faster than the import.
	maxPasses = 20
)

// eventIDs makes the ids of events that had none: of the same row always the same one, so that no row comes in twice.
var eventIDs = uuid.MustParse("5f1d4f0a-6d0c-4d5e-9b42-3f0a1c9f7a11")

// history reads the old table from an id on, in the order of the ids, which is that of the versions of each order.
func (s *service) history(ctx context.Context, from int64, last *int64) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		rows, err := s.pool.Query(ctx, `
			SELECT id, order_no, version, kind, body, at FROM public.order_events WHERE id > $1 ORDER BY id`, from)
		if err != nil {
			yield(eventstream.Event{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var order, kind string
			var e eventstream.Event
			if err := rows.Scan(last, &order, &e.Version, &kind, (*json.RawMessage)(&e.Payload), &e.OccurredAt); err != nil {
				yield(e, err)
				return
			}
			e.ID = uuid.NewSHA1(eventIDs, fmt.Appendf(nil, "order_events %d", *last))
			e.StreamID, e.Type, e.OccurredAt = streamOf(order), eventstream.EventType(typeOf(kind)), e.OccurredAt.UTC()
			if !yield(e, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(eventstream.Event{}, err)
		}
	}
}

// moved is what a migration did.
type moved struct {
	imported int64
	passes   int
	// waited is for how long writers could not write.
	waited time.Duration
}

// migrate moves the history while the service goes on, and then turns the switch. Whatever ends it before leaves the service as it was: run it
// again, and what is there is skipped.
func (s *service) migrate(ctx context.Context, out io.Writer) (m moved, err error) {
	from := int64(0)
	for m.passes < maxPasses {
		m.passes++
		last := from
		result, err := s.repo.Import(ctx, s.history(ctx, from, &last))
		m.imported += result.Imported
		if err != nil {
			return m, err
		}
		fmt.Fprintf(out, "pass %d: %d events imported, %d were there\n", m.passes, result.Imported, result.Skipped)
		from = max(last-margin, 0)
		if result.Imported <= few {
			break
		}
	}
	start := time.Now()
	last, err := s.turn(ctx, from)
	m.waited = time.Since(start)
	m.imported += last
	return m, err
}

// turn brings in what is left while no writer can write, and turns the switch. It commits both or neither; an import that was not followed by the
// switch does no harm.
func (s *service) turn(ctx context.Context, from int64) (imported int64, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Waits for the writers at work, as new ones wait for it: a lock of the row would let those pass. If one is at work for long, nothing is
		// switched, and the others go on.
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '10s'; LOCK TABLE public.event_switch IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		for {
			var last int64
			result, err := s.repo.Import(ctx, s.history(ctx, from, &last))
			imported += result.Imported
			if err != nil {
				return err
			}
			missing, err := s.missing(ctx)
			switch {
			case err != nil:
				return err
			case missing == 0:
				_, err = tx.Exec(ctx, `UPDATE public.event_switch SET to_gapless = true`)
				return err
			case from == 0:
				return fmt.Errorf("%d events of the table are not in the store, though all were imported: nothing was switched", missing)
			}
			from = 0 // one came later than the margin allows for: look at all of them
		}
	})
	return imported, err
}

// missing counts the orders whose last event is not in the store. Without a hole in either, nothing else can be missing.
func (s *service) missing(ctx context.Context) (n int64, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT count(*)
		FROM (SELECT order_no, max(version) AS version FROM public.order_events GROUP BY order_no) AS o
		WHERE NOT EXISTS (
			SELECT FROM eventstream.events AS e WHERE e.stream_id = 'order-' || o.order_no AND e.version = o.version
		)`).Scan(&n)
	return n, err
}
