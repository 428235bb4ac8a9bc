package reading

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/report"
	"github.com/gaplesspg/gapless/bench/internal/rounds"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

const (
	// eachStream is how many events a stream of the log has.
	eachStream = 100
	// fillLimit is how many events one statement writes.
	fillLimit = 10_000
	// written is how many rows the plain side of a projection writes in a transaction.
	written = 1000

	createSums = `
CREATE SCHEMA sums;
CREATE TABLE sums.bare (position bigint, stream_id text, n bigint);
CREATE TABLE sums.projected (position bigint, stream_id text, n bigint)`
	insertBare      = `INSERT INTO sums.bare SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])`
	insertProjected = `INSERT INTO sums.projected SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])`
)

// readCase reads the whole log, and says how many events that were.
type readCase struct {
	name string
	read func(ctx context.Context, round int) (int64, error)
}

// catchUps gives groups of cases; the others of a group are compared with its first.
func (b *benchmark) catchUps() [][]readCase {
	effect := subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil })
	tx := subscription.TxHandler(func(context.Context, pgx.Tx, []eventstream.LogEvent) error { return nil })
	writing := subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		return insertRows(ctx, tx, insertProjected, events)
	})
	by := func(name string, shards int, handler subscription.Handler) func(context.Context, int) (int64, error) {
		return func(ctx context.Context, round int) (int64, error) {
			return b.catchUp(ctx, fmt.Sprintf("%s.%d", name, round), shards, handler)
		}
	}
	return [][]readCase{
		{
			{"bare SELECT, all columns, by pgx", b.bareSelect},
			{"ReadLog", b.readLog},
			{"subscription, empty EffectHandler", by("effect", 1, effect)},
			{"subscription, empty TxHandler", by("tx", 1, tx)},
			{"4 shards, empty TxHandler", by("shards", 4, tx)},
		},
		{
			{"bare INSERT ... SELECT unnest, batches of 1000", b.bareInsert},
			{"subscription, TxHandler writes a row an event", by("writing", 1, writing)},
		},
	}
}

// measureCatchUp measures how fast a log is read from its beginning to its end.
func (b *benchmark) measureCatchUp(ctx context.Context) error {
	seed := baseline.Seed{First: 1, Last: b.events / eachStream, Events: eachStream, Limit: fillLimit}
	if err := seed.Fill(ctx, b.Gapless); err != nil {
		return err
	}
	if err := database.Vacuum(ctx, b.Gapless); err != nil {
		return err
	}
	if _, err := b.Gapless.Exec(ctx, createSums); err != nil {
		return err
	}
	t := report.Table{
		Title:   fmt.Sprintf("Catch-up of %d events", b.events),
		Columns: []string{"case", "events/s", "ratio", "spread of ratio", "to"}, Strong: 2,
	}
	for _, group := range b.catchUps() {
		rates := make([][]float64, len(group))
		err := rounds.InTurn(b.rounds, len(group), func(round, i int) error {
			began := time.Now()
			n, err := group[i].read(ctx, round)
			if err == nil && n < int64(b.events/eachStream*eachStream) {
				err = fmt.Errorf("%d events read of %d", n, b.events)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", group[i].name, err)
			}
			rates[i] = append(rates[i], float64(n)/time.Since(began).Seconds())
			return nil
		})
		if err != nil {
			return err
		}
		for i, c := range group {
			ratios := report.Ratios(rates[i], rates[0])
			r := result{
				Case: "catchup/" + c.name, Rate: report.Round(report.Median(rates[i]), 1),
				Ratio: report.Round(report.Median(ratios), 3), Spread: report.Round(report.Spread(ratios), 3),
			}
			b.results = append(b.results, r)
			t.Add(c.name, report.Number(r.Rate, 0), report.Number(r.Ratio, 2), report.Percent(r.Spread), group[0].name)
		}
	}
	b.tables = append(b.tables, t)
	return nil
}

// bareSelect reads all columns into Go values, as anyone would have to.
func (b *benchmark) bareSelect(ctx context.Context, _ int) (int64, error) {
	n, err := baseline.SelectLog(ctx, b.Raw)
	return int64(n), err
}

func (b *benchmark) readLog(ctx context.Context, _ int) (n int64, err error) {
	for _, err := range b.Repo.ReadLog(ctx, eventstream.LogOptions{}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// catchUp runs a subscription from the beginning until it has come to the end.
func (b *benchmark) catchUp(ctx context.Context, name string, shards int, handler subscription.Handler) (int64, error) {
	head, err := b.Repo.LogHead(ctx)
	if err != nil {
		return 0, err
	}
	sub, err := subscription.New(b.Repo, name, handler, &subscription.Config{Shards: shards, Observer: b.observe})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- sub.Run(ctx) }()
	for {
		err = sub.WaitFor(ctx, head.Position)
		if err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Millisecond) // it is being created
	}
	cancel()
	if failed := <-ended; failed != nil {
		return 0, failed
	}
	return head.Sequence, err
}

// bareInsert writes the rows that the projection writes, from memory, without reading an event.
func (b *benchmark) bareInsert(ctx context.Context, _ int) (int64, error) {
	n := int64(0)
	for n < int64(b.events) {
		events := make([]eventstream.LogEvent, min(written, int64(b.events)-n))
		for i := range events {
			events[i].Position, events[i].StreamID = n+int64(i), baseline.SeededStream(1, 0).ID
		}
		err := pgx.BeginFunc(ctx, b.Raw, func(tx pgx.Tx) error { return insertRows(ctx, tx, insertBare, events) })
		if err != nil {
			return 0, err
		}
		n += int64(len(events))
	}
	return n, nil
}

func insertRows(ctx context.Context, tx pgx.Tx, statement string, events []eventstream.LogEvent) error {
	positions, streams, ns := make([]int64, len(events)), make([]string, len(events)), make([]int64, len(events))
	for i := range events {
		positions[i], streams[i], ns[i] = events[i].Position, string(events[i].StreamID), int64(i)
	}
	_, err := tx.Exec(ctx, statement, positions, streams, ns)
	return err
}
