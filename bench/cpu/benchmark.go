package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// batchSize is the number of events in a call that has several.
	batchSize = 100
	// firstStreams is how many streams exist in the state installed.
	firstStreams = 5000
	// callsToCache is enough for PostgreSQL to settle on a plan: five calls are planned for their values, the sixth for any.
	callsToCache = 8
)

// testCase is one way to write, measured again and again.
type testCase struct {
	name  string
	size  int
	shape shape
	write writer
	on    *streams
}

// benchmark is one run over one connection.
type benchmark struct {
	options
	conn       *pgx.Conn
	log        io.Writer
	bare, gate *streams
}

func newBenchmark(conn *pgx.Conn, o options, log io.Writer) *benchmark {
	return &benchmark{
		options: o, conn: conn, log: log,
		bare: &streams{store: "bare"}, gate: &streams{store: "gate"},
	}
}

// cases gives what is measured. The bare ones come first; the others are compared with the one of their shape.
func (b *benchmark) cases() []testCase {
	return []testCase{
		{"bare INSERT: 1 event", 1, oneStream, insertBare, b.bare},
		{"bare INSERT: 100 events, one stream", batchSize, oneStream, insertBare, b.bare},
		{"bare INSERT: 100 events, 100 streams", batchSize, ownStreams, insertBare, b.bare},
		{"append_batch: 1 event, new stream", 1, newStream, appendBatch, b.gate},
		{"append_batch: 1 event, existing stream", 1, oneStream, appendBatch, b.gate},
		{"append_batch: 100 events, one stream", batchSize, oneStream, appendBatch, b.gate},
		{"append_batch: 100 requests, 100 streams", batchSize, ownStreams, appendBatch, b.gate},
		{"INSERT through the gate: 1 event", 1, oneStream, insertGate, b.gate},
		{"INSERT through the gate: 100 events, one stream", batchSize, oneStream, insertGate, b.gate},
		{"INSERT through the gate: 100 events, 100 streams", batchSize, ownStreams, insertGate, b.gate},
	}
}

// run takes the store from one state to the next, and measures in each.
func (b *benchmark) run(ctx context.Context) ([]result, error) {
	if err := b.cachePlans(ctx); err != nil {
		return nil, err
	}
	var results []result
	for _, state := range []struct {
		name    string
		prepare func(context.Context) error
	}{
		{"installed", func(ctx context.Context) error { return b.growTo(ctx, min(firstStreams, b.streams)) }},
		{"grown", func(ctx context.Context) error { return b.growTo(ctx, b.streams) }},
		{"analyzed", b.analyze},
	} {
		if err := state.prepare(ctx); err != nil {
			return nil, err
		}
		measured, err := b.measureState(ctx, state.name)
		if err != nil {
			return nil, err
		}
		results = append(results, measured...)
	}
	return results, nil
}

// cachePlans makes the session plan every statement while the tables are empty, those inside the functions too. Calls are small, and
// nothing of them stays.
func (b *benchmark) cachePlans(ctx context.Context) error {
	tx, err := b.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	b.bare.grow(2)
	b.gate.grow(2)
	for _, c := range b.cases() {
		for range callsToCache {
			if err := c.write(ctx, b.conn, c.on.targets(c.shape, min(c.size, 2))); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	b.bare.pool, b.gate.pool = nil, nil
	return nil
}

// growTo creates streams on both sides until there are n. The statements are those that are measured: plans stay as they are.
func (b *benchmark) growTo(ctx context.Context, n int) error {
	for len(b.gate.pool) < n {
		size := min(batchSize, n-len(b.gate.pool))
		err := errors.Join(
			insertBare(ctx, b.conn, b.bare.grow(size)),
			appendBatch(ctx, b.conn, b.gate.grow(size)))
		if err != nil {
			return fmt.Errorf("creating streams: %w", err)
		}
	}
	return nil
}

func (b *benchmark) analyze(ctx context.Context) error {
	_, err := b.conn.Exec(ctx, `VACUUM (ANALYZE) eventstream.streams, eventstream.events, bare.events`)
	return err
}

// measureState runs the rounds: all cases in autocommit, then all inside transactions.
func (b *benchmark) measureState(ctx context.Context, state string) ([]result, error) {
	start := time.Now()
	modes := []struct {
		name   string
		sample func(context.Context, testCase) (float64, error)
	}{{"autocommit", b.sample}, {"transaction", b.sampleInTx}}
	samples := make([][][]float64, len(modes))
	cases := b.cases()
	for i := range samples {
		samples[i] = make([][]float64, len(cases))
	}
	for range b.rounds {
		for i, mode := range modes {
			for j, c := range cases {
				us, err := mode.sample(ctx, c)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				samples[i][j] = append(samples[i][j], us)
			}
		}
	}
	var results []result
	for i, mode := range modes {
		results = append(results, summarize(state, mode.name, cases, samples[i])...)
	}
	fmt.Fprintf(b.log, "%s: %d streams, %d rounds, %.0f s\n", state, len(b.gate.pool), b.rounds, time.Since(start).Seconds())
	return results, nil
}

// sample gives the microseconds of server CPU per event. Batches need fewer calls for the same certainty.
func (b *benchmark) sample(ctx context.Context, c testCase) (float64, error) {
	calls := b.calls
	if c.size > 1 {
		calls = max(calls/25, 1)
	}
	before, err := cpuTime(ctx, b.conn)
	if err != nil {
		return 0, err
	}
	for range calls {
		if err := c.write(ctx, b.conn, c.on.targets(c.shape, c.size)); err != nil {
			return 0, err
		}
	}
	after, err := cpuTime(ctx, b.conn)
	return float64((after - before).Nanoseconds()) / 1000 / float64(calls*c.size), err
}

// sampleInTx is sample without the commits.
func (b *benchmark) sampleInTx(ctx context.Context, c testCase) (float64, error) {
	tx, err := b.conn.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	us, err := b.sample(ctx, c)
	if err != nil {
		return 0, err
	}
	return us, tx.Commit(ctx)
}
