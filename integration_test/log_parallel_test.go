package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
)

// LogOptions.Parallel: what comes is what comes without it, and nothing is left behind.

// appendMany appends in large transactions to streams that spread unevenly over all partitions; each third transaction is rolled back.
func appendMany(t testing.TB, b *bundle, random *rand.Rand, count int) {
	t.Helper()
	for batch := 0; count > 0; batch++ {
		requests := make([]eventstream.AppendRequest, 100+random.IntN(400))
		for i := range requests {
			n := random.IntN(1 + random.IntN(300))
			kind := modelTypes[random.IntN(len(modelTypes))]
			event, err := eventstream.NewEvent(string(kind), i, eventstream.WithTenant(modelTenants[n%3]))
			require.NoError(t, err)
			requests[i] = eventstream.AppendRequest{
				StreamID: eventstream.StreamID(fmt.Sprintf("%s-%d", modelCategories[n%5], n)), Expected: eventstream.Any,
				Events: []eventstream.Event{event},
			}
		}
		tx, err := b.pool.Begin(b.ctx)
		require.NoError(t, err)
		defer tx.Rollback(b.ctx)
		_, err = b.repo.AppendManyTx(b.ctx, tx, requests...)
		require.NoError(t, err)
		if batch%3 == 1 {
			require.NoError(t, tx.Rollback(b.ctx))
			continue
		}
		require.NoError(t, tx.Commit(b.ctx))
		count -= len(requests)
	}
}

// requireSameLog compares event by event, so that a failure shows two of them and not ten thousand.
func requireSameLog(t tester, want, got []eventstream.LogEvent) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if !reflect.DeepEqual(want[i], got[i]) {
			require.Equal(t, want[i], got[i], "event %d", i)
		}
	}
	require.Equal(t, len(want), len(got), "events")
}

// untilError reads until the end or an error, which has to be the last pair.
func untilError(t testing.TB, repo *eventstream.Repository, ctx context.Context, //nolint:revive // t first
	options eventstream.LogOptions, each func(seen int),
) (events []eventstream.LogEvent, failure error) {
	t.Helper()
	for e, err := range repo.ReadLog(ctx, options) {
		require.NoError(t, failure, "something comes after the error")
		if failure = err; err != nil {
			require.Zero(t, e)
			continue
		}
		events = append(events, e)
		each(len(events))
	}
	return events, failure
}

// midways starts each partition in its middle, but some at their first event, and some after their last.
func midways(m *logModel) eventstream.Start {
	first := map[int]int64{}
	for _, e := range m.events {
		switch {
		case e.PartitionID%5 == 4:
			first[e.PartitionID] = e.PartitionSequence + 1
		case e.PartitionID%3 != 0:
			first[e.PartitionID] = e.PartitionSequence/2 + 1
		}
	}
	return eventstream.FromPartitionSequences(first)
}

// Whatever is read, with holes and over many pages, comes as it comes over one connection: the same events, order and numbers.
func TestParallelReadsWhatOneConnectionReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	appendMany(t, b, rand.New(rand.NewPCG(3, 9)), 11_000)
	m := &logModel{
		events: readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{})),
		stable: number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`),
	}
	require.Greater(t, m.last(), int64(10_000))
	require.NotEmpty(t, m.afterHoles())
	repos := []*eventstream.Repository{sizedRepo(t, b.pool, 20), b.repo}
	for _, options := range []eventstream.LogOptions{{}, {Backwards: true}, {From: midways(m)}} {
		want := readAll(t, b.repo.ReadLog(b.ctx, options))
		for _, options.Parallel = range []int{1, 2, 5, 32} {
			requireSameLog(t, want, readAll(t, b.repo.ReadLog(b.ctx, options)))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		start := drawStart(t, m)
		options := eventstream.LogOptions{
			From: start.start, Filter: drawFilter(t), Backwards: start.downFrom != nil && rapid.Bool().Draw(t, "backwards"),
		}
		if rapid.Bool().Draw(t, "limited") {
			options.Limit = rapid.IntRange(1, 3000).Draw(t, "limit")
		}
		repo := rapid.SampledFrom(repos).Draw(t, "repo")
		want := readAll(t, repo.ReadLog(b.ctx, options))
		options.Parallel = rapid.IntRange(2, 32).Draw(t, "parallel")
		requireSameLog(t, want, readAll(t, repo.ReadLog(b.ctx, options)))
		require.Zero(t, b.pool.Stat().AcquiredConns())
	})
}

// A log that is empty, that has less than a share for each, and one of a single partition.
func TestParallelOfLittle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	options := eventstream.LogOptions{Parallel: 32}
	require.Empty(t, readAll(t, b.repo.ReadLog(b.ctx, options)))
	given(t, b, "order-1", 3)
	all := readAll(t, b.repo.ReadLog(b.ctx, options))
	require.Equal(t, []string{"order-1 1", "order-1 2", "order-1 3"}, placesOf(all))
	home := all[0].PartitionID
	options.Filter.Partitions = []int{home}
	requireSameLog(t, all, readAll(t, b.repo.ReadLog(b.ctx, options)))
	options.Filter.Partitions = []int{home, (home + 1) % 32, home}
	requireSameLog(t, all, readAll(t, b.repo.ReadLog(b.ctx, options)))
	options.Filter.Partitions = []int{(home + 1) % 32, (home + 2) % 32}
	require.Empty(t, readAll(t, b.repo.ReadLog(b.ctx, options)))
}

// pageWatch is told the name of each query of a pool, before it runs, with its arguments, and after it. before gives the context that the
// query runs in.
type pageWatch struct {
	before func(ctx context.Context, query string, args []any) context.Context
	after  func(query string)
}

type watchedQuery struct{}

func (w pageWatch) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	_, name, _ := strings.Cut(data.SQL, "-- name: ")
	name, _, _ = strings.Cut(name, " ")
	if w.before != nil {
		ctx = w.before(ctx, name, data.Args)
	}
	return context.WithValue(ctx, watchedQuery{}, name)
}

func (w pageWatch) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if name, ok := ctx.Value(watchedQuery{}).(string); ok && w.after != nil {
		w.after(name)
	}
}

func isPage(query string) bool { return strings.HasPrefix(query, "LogList") }

// watchedPool is a pool of its own on the test's database.
func watchedPool(t testing.TB, b *bundle, watch pageWatch, options ...bundleOption) *pgxpool.Pool {
	t.Helper()
	return newPool(t, b.dsn, append(options, func(c *pgxpool.Config) { c.ConnConfig.Tracer = watch })...)
}

// The first pages of all shares are under way before one of them has come.
func TestParallelReadsAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 50 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("order-%d", i)), 2)
	}
	const parallel = 5
	var waiting atomic.Int32
	all := make(chan struct{})
	pool := watchedPool(t, b, pageWatch{before: func(ctx context.Context, query string, _ []any) context.Context {
		if !isPage(query) {
			return ctx
		}
		if waiting.Add(1) == parallel {
			close(all)
		}
		select {
		case <-all:
		case <-ctx.Done():
		}
		return ctx
	}})
	ctx, cancel := context.WithTimeout(b.ctx, blockTimeout)
	defer cancel()
	require.Len(t, readAll(t, repoOn(t, pool).ReadLog(ctx, eventstream.LogOptions{Parallel: parallel})), 100)
}

// All shares end where the log was stable when reading began, whatever becomes stable between their queries.
func TestParallelEndsWhereItWasStable(t *testing.T) {
	t.Parallel()
	for _, backwards := range []bool{false, true} {
		t.Run(fmt.Sprint(backwards), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for i := range 40 {
				given(t, b, eventstream.StreamID(fmt.Sprintf("order-%d", i)), 5)
			}
			options := eventstream.LogOptions{Backwards: backwards}
			want := readAll(t, b.repo.ReadLog(b.ctx, options))
			var appended sync.Mutex
			meanwhile := func(query string) {
				if query != "LogAdvance" && query != "LogStablePosition" && !isPage(query) {
					return
				}
				appended.Lock()
				defer appended.Unlock()
				for i, event := range someEvents(t, 40) {
					_, err := b.repo.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("order-%d", i)), eventstream.Any, event)
					if err != nil {
						t.Error(err) // not require: this is another goroutine
					}
				}
			}
			repo := sizedRepo(t, watchedPool(t, b, pageWatch{after: meanwhile}), 2)
			options.Parallel, options.Limit = 4, 2*len(want)
			requireSameLog(t, want, readAll(t, repo.ReadLog(b.ctx, options)))
			require.Greater(t, len(readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{}))), len(want))
		})
	}
}

// A share reads a page ahead and no further, however long it is waited for.
func TestParallelReadsAPageAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	appendMany(t, b, rand.New(rand.NewPCG(4, 9)), 2000)
	var pages atomic.Int32
	pool := watchedPool(t, b, pageWatch{before: func(ctx context.Context, query string, _ []any) context.Context {
		if isPage(query) {
			pages.Add(1)
		}
		return ctx
	}})
	repo := sizedRepo(t, pool, 1) // pages of 8
	const parallel = 6
	for _, stop := range []int{1, 200} {
		pages.Store(0)
		seen := 0
		for _, err := range repo.ReadLog(b.ctx, eventstream.LogOptions{Parallel: parallel}) {
			require.NoError(t, err)
			if seen++; seen == stop {
				break
			}
		}
		require.LessOrEqual(t, int(pages.Load()), stop/8+2*parallel)
		require.GreaterOrEqual(t, int(pages.Load()), parallel)
	}
	pages.Store(0)
	require.Len(t, readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Parallel: parallel, Limit: 5})), 5)
	require.LessOrEqual(t, int(pages.Load()), parallel, "a page of each share has the five")
}

// The loop's body may use the same pool, however small, and leave whenever it likes: no connection is in use after that.
func TestParallelLoopHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, conns := range []int32{1, 3, 8} {
		t.Run(fmt.Sprint(conns), func(t *testing.T) {
			t.Parallel()
			b := setup(t, withMaxConns(conns))
			appendMany(t, b, rand.New(rand.NewPCG(5, 9)), 500)
			repo := sizedRepo(t, b.pool, 1)
			for _, filter := range []eventstream.LogFilter{{}, {Category: "order"}} {
				log := repo.ReadLog(b.ctx, eventstream.LogOptions{Parallel: 4, Filter: filter})
				all := readAll(t, log)
				for stop := 1; stop <= 50; stop += 3 {
					seen := 0
					for e, err := range log {
						require.NoError(t, err)
						_, err := repo.Event(b.ctx, e.ID)
						require.NoError(t, err)
						if seen++; seen == stop {
							break
						}
					}
					require.Zero(t, b.pool.Stat().AcquiredConns())
					require.Equal(t, stop, seen)
				}
				requireSameLog(t, all, readAll(t, log))
			}
		})
	}
}

// A context that ends, or connections that are lost, is an error of the loop, after events as they come without it; nothing is left of it.
func TestParallelThatBreaksOff(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Canceled", "Terminated"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			appendMany(t, b, rand.New(rand.NewPCG(6, 9)), 1000)
			options := eventstream.LogOptions{}
			want := readAll(t, b.repo.ReadLog(b.ctx, options))
			options.Parallel = 4
			pool := newPool(t, b.dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = "shares" })
			repo := sizedRepo(t, pool, 1)
			ctx, cancel := context.WithCancel(b.ctx)
			defer cancel()
			breakIt := map[string]func(){"Canceled": cancel, "Terminated": func() {
				execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
					WHERE application_name = 'shares' AND datname = current_database()`)
			}}[name]
			got, err := untilError(t, repo, ctx, options, func(seen int) {
				if seen == 100 {
					breakIt()
				}
			})
			require.Error(t, err)
			if name == "Canceled" {
				require.ErrorIs(t, err, context.Canceled)
			}
			require.GreaterOrEqual(t, len(got), 100)
			require.LessOrEqual(t, len(got), 100+2*8*4, "what was there")
			requireSameLog(t, want[:len(got)], got)
			// pgx gives connections that broke back on its own time.
			require.Eventually(t, func() bool { return pool.Stat().AcquiredConns() == 0 }, closeTimeout, time.Millisecond)
			pool.Reset()
			requireSameLog(t, want, readAll(t, repo.ReadLog(b.ctx, options)))
		})
	}
}

// One page that fails ends the whole: what comes before its events comes, and the error once. A page ahead that nobody needs is no error.
func TestParallelOneShareFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	appendMany(t, b, rand.New(rand.NewPCG(7, 9)), 1000)
	want := readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{}))
	canceled, cancel := context.WithCancel(b.ctx)
	cancel()
	// Pages that begin above a position fail: those are the pages of all shares but the first ones, if it is 0.
	var good atomic.Int64
	var failed atomic.Int32
	pool := watchedPool(t, b, pageWatch{before: func(ctx context.Context, query string, args []any) context.Context {
		if query == "LogListPartitions" && args[1].(int64) > good.Load() {
			failed.Add(1)
			return canceled
		}
		return ctx
	}})
	repo := sizedRepo(t, pool, 1) // pages of 8
	options := eventstream.LogOptions{Parallel: 4}
	for _, n := range []int{-1, 0, 100, 500} {
		good.Store(-1)
		if n >= 0 {
			good.Store(want[n].Position - want[0].Position)
		}
		got, err := untilError(t, repo, b.ctx, options, func(int) {})
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, pool.Stat().AcquiredConns())
		require.Equal(t, n >= 0, len(got) > 0)
		require.GreaterOrEqual(t, len(got), n, "pages up to there are good")
		requireSameLog(t, want[:len(got)], got)
	}
	good.Store(0)
	failed.Store(0)
	options.Limit = 9
	requireSameLog(t, want[:9], readAll(t, repo.ReadLog(b.ctx, options)))
	require.NotZero(t, failed.Load(), "a page of a ninth event is read ahead")
}

// Parallel out of bounds, or without a pool, is refused, and the error says what to do.
func TestParallelRefusesBadOptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 3)
	for _, n := range []int{-1, 33, 1 << 30} {
		err := logError(t, b.repo, b.ctx, eventstream.LogOptions{Parallel: n})
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
		require.EqualError(t, err, fmt.Sprintf(`invalid LogOptions.Parallel "%d": must be from 0 to 32`, n))
	}
	require.ErrorIs(t, logError(t, b.repo, b.ctx, eventstream.LogOptions{Parallel: 4, Limit: -1}), eventstream.ErrInvalidValue)
	require.ErrorIs(t, logError(t, b.repo, b.ctx, eventstream.LogOptions{Parallel: 4, From: eventstream.FromPosition(9)}), eventstream.ErrBeyondLog)
	require.ErrorIs(t, logError(t, b.repo, b.ctx, eventstream.LogOptions{
		Parallel: 4, Backwards: true, From: eventstream.FromPartitionSequences(map[int]int64{1: 1}),
	}), eventstream.ErrInvalidValue)

	const noPool = `invalid LogOptions.Parallel "2": must be 0, or used with ReadLog of a repository on a *pgxpool.Pool`
	two := eventstream.LogOptions{Parallel: 2}
	require.EqualError(t, logError(t, repoOn(t, session(t, b)), b.ctx, two), noPool)
	inTx(t, b, func(tx pgx.Tx) {
		require.EqualError(t, logError(t, repoOn(t, tx), b.ctx, two), noPool)
		for _, err := range b.repo.ReadLogTx(b.ctx, tx, two) {
			require.EqualError(t, err, noPool)
		}
	})
}
