package cpu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/report"
	"github.com/gaplesspg/gapless/bench/internal/rounds"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// batchSize is the number of events in a call that has several.
	batchSize = 100
	// firstStreams is how many streams exist in the state installed.
	firstStreams = 5000
	// callsToCache is enough for PostgreSQL to settle on a plan: five calls are planned for their values, the sixth for any.
	callsToCache = 8
	// callsOfBatch times fewer calls of a batch give the same certainty.
	callsOfBatch = 25
	// warmShare of the calls of a sample, one in so many, come before it and do not count.
	warmShare = 10
)

// benchmark is one run over one connection, which both sides share: a repository on a connection appends in whatever transaction is open
// there.
type benchmark struct {
	*Options
	conn       *pgx.Conn
	repo       *eventstream.Repository
	log        io.Writer
	bare, gate *baseline.Streams
}

// Run measures what the options ask for. The log gets a line for each state.
func (o *Options) Run(ctx context.Context, d *database.Databases, log io.Writer) (r report.Report, err error) {
	dsn, drop, err := d.New(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return r, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	b, err := newBenchmark(ctx, conn, o, log)
	if err != nil {
		return r, err
	}
	results, err := b.run(ctx)
	return report.Report{Results: results, Tables: tables(results)}, err
}

func newBenchmark(ctx context.Context, conn *pgx.Conn, o *Options, log io.Writer) (*benchmark, error) {
	repo, err := eventstream.NewRepository(conn, nil)
	if err != nil {
		return nil, err
	}
	b := &benchmark{Options: o, conn: conn, repo: repo, log: log, bare: &baseline.Streams{}, gate: &baseline.Streams{}}
	return b, database.HoldAutovacuum(ctx, conn)
}

// run takes the store from one state to the next, and measures in each that is asked for.
func (b *benchmark) run(ctx context.Context) ([]result, error) {
	if err := b.cachePlans(ctx); err != nil {
		return nil, err
	}
	results, left := []result{}, len(b.states)
	for _, state := range allStates() {
		if left == 0 {
			break
		}
		if err := b.enter(ctx, state); err != nil {
			return nil, err
		}
		if !slices.Contains(b.states, state) {
			continue
		}
		left--
		measured, err := b.measureState(ctx, state)
		if err != nil {
			return nil, err
		}
		results = append(results, measured...)
	}
	return results, nil
}

// enter takes the store to a state from the one before it.
func (b *benchmark) enter(ctx context.Context, state string) error {
	switch state {
	case installed:
		return b.growTo(ctx, min(firstStreams, b.streams))
	case grown:
		return b.growTo(ctx, b.streams)
	default:
		return database.Vacuum(ctx, b.conn)
	}
}

// cachePlans makes the session plan every statement while the tables are empty, those inside the functions too. Calls are small, and
// nothing of them stays.
func (b *benchmark) cachePlans(ctx context.Context) error {
	tx, err := b.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if err := b.grow(ctx, 2); err != nil {
		return err
	}
	for _, group := range groups() {
		for _, c := range group {
			for range callsToCache {
				if err := c.write(ctx, b, c.shape.targets(b.streamsOf(c), 2), min(c.events, 2)); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
		}
	}
	b.bare, b.gate = &baseline.Streams{}, &baseline.Streams{}
	return nil
}

// growTo creates streams on both sides until there are n. The statements are those that are measured: plans stay as they are.
func (b *benchmark) growTo(ctx context.Context, n int) error {
	for b.gate.Len() < n {
		if err := b.grow(ctx, min(batchSize, n-b.gate.Len())); err != nil {
			return fmt.Errorf("creating streams: %w", err)
		}
	}
	return nil
}

func (b *benchmark) grow(ctx context.Context, n int) error {
	bare, gate := make([]*baseline.Stream, n), make([]*baseline.Stream, n)
	for i := range n {
		bare[i], gate[i] = baseline.NewStream(), baseline.NewStream()
	}
	b.bare.Add(bare...)
	b.gate.Add(gate...)
	return errors.Join(insertBare(ctx, b, bare, 1), appendMany(ctx, b, gate, 1))
}

// measureState runs the rounds in each mode.
func (b *benchmark) measureState(ctx context.Context, state string) ([]result, error) {
	start := time.Now()
	var results []result
	for _, mode := range allModes() {
		if !slices.Contains(b.modes, mode) {
			continue
		}
		samples := map[string][]float64{}
		for _, group := range groups() {
			err := rounds.InTurn(b.rounds, len(group), func(_, i int) error {
				us, err := b.sample(ctx, group[i], mode)
				if err != nil {
					return fmt.Errorf("%s: %w", group[i].name, err)
				}
				samples[group[i].name] = append(samples[group[i].name], us)
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		results = append(results, summarize(state, mode, samples)...)
	}
	fmt.Fprintf(b.log, "%s: %d streams, %d rounds, %.0f s\n", state, b.gate.Len(), b.rounds, time.Since(start).Seconds())
	return results, nil
}

// sample gives the microseconds of server CPU per event; in a transaction, without those of the commit.
func (b *benchmark) sample(ctx context.Context, c testCase, mode string) (us float64, err error) {
	if mode == transaction {
		tx, err := b.conn.Begin(ctx)
		if err != nil {
			return 0, err
		}
		defer tx.Rollback(context.WithoutCancel(ctx))
		defer func() {
			if err == nil {
				err = tx.Commit(ctx)
			}
		}()
	}
	calls := b.calls
	if c.shape != single && c.shape != fresh {
		calls = max(calls/callsOfBatch, 1)
	}
	// The first calls find caches full of another case's table.
	if err := b.repeat(ctx, c, max(calls/warmShare, 1)); err != nil {
		return 0, err
	}
	before, err := cpuTime(ctx, b.conn)
	if err != nil {
		return 0, err
	}
	if err := b.repeat(ctx, c, calls); err != nil {
		return 0, err
	}
	after, err := cpuTime(ctx, b.conn)
	return float64((after - before).Nanoseconds()) / 1000 / float64(calls*c.size()), err
}

func (b *benchmark) repeat(ctx context.Context, c testCase, calls int) error {
	for range calls {
		if err := c.write(ctx, b, c.shape.targets(b.streamsOf(c), batchSize), c.events); err != nil {
			return err
		}
	}
	return nil
}
