package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// handlerKinds are the three kinds of handlers: each decides about a batch, and then writes down in public.handled what it handled. The
// first does so in the transaction that it was given, the others in one of their own, as if that were elsewhere.
var handlerKinds = map[string]func(b *bundle, decide func([]eventstream.LogEvent) error) subscription.Handler{
	"tx": func(_ *bundle, decide func([]eventstream.LogEvent) error) subscription.Handler {
		return subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
			return decideAndWrite(ctx, tx, decide, events)
		})
	},
	"effect": func(b *bundle, decide func([]eventstream.LogEvent) error) subscription.Handler {
		return subscription.EffectHandler(func(ctx context.Context, events []eventstream.LogEvent) error {
			return decideAndWrite(ctx, b.pool, decide, events)
		})
	},
	"async": func(b *bundle, decide func([]eventstream.LogEvent) error) subscription.Handler {
		var mu sync.Mutex
		before := make(chan struct{})
		close(before)
		return subscription.AsyncHandler(func(ctx context.Context, events []eventstream.LogEvent, ack func(error)) {
			mu.Lock() // batches are written one after the other, as a pipeline would
			earlier, done := before, make(chan struct{})
			before = done
			mu.Unlock()
			go func() {
				<-earlier
				err := decideAndWrite(ctx, b.pool, decide, events)
				close(done)
				ack(err)
			}()
		})
	},
}

// eachKind runs a test with each kind of handler, on a database of its own with the table public.handled.
func eachKind(t *testing.T, test func(t *testing.T, b *bundle, kind string)) {
	t.Helper()
	for kind := range handlerKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, withHandled(t, setup(t)), kind)
		})
	}
}

// withHandled makes the table that handlers of tests write to: it takes the same event twice, so that a test can see it.
func withHandled(t testing.TB, b *bundle) *bundle {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `CREATE TABLE public.handled (
		id bigint GENERATED ALWAYS AS IDENTITY, position bigint NOT NULL, stream_id text NOT NULL, version bigint NOT NULL)`)
	return b
}

func decideAndWrite(
	ctx context.Context, h querier, decide func([]eventstream.LogEvent) error, events []eventstream.LogEvent,
) error {
	if decide != nil {
		if err := decide(events); err != nil {
			return err
		}
	}
	return writeHandled(ctx, h, events)
}

func writeHandled(ctx context.Context, h querier, events []eventstream.LogEvent) error {
	var positions, versions []int64
	var streams []string
	for _, e := range events {
		positions, versions = append(positions, e.Position), append(versions, e.Version)
		streams = append(streams, string(e.StreamID))
	}
	_, err := h.Exec(ctx, `INSERT INTO public.handled (position, stream_id, version) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])`,
		positions, streams, versions)
	return err
}

// handledVersions is what was handled of a stream, in the order in which it was.
func handledVersions(t testing.TB, b *bundle, stream eventstream.StreamID) []int64 {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT version FROM public.handled WHERE stream_id = $1 ORDER BY id`, string(stream))
	require.NoError(t, err)
	versions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	return versions
}

// requireHandledOnce demands that what was handled is all that is committed, but for some positions, each event once and each stream in
// order.
func requireHandledOnce(t testing.TB, b *bundle, except ...int64) {
	t.Helper()
	requireNoRow(t, b, `
		(SELECT position, 'missing' FROM (SELECT position FROM eventstream.events EXCEPT ALL SELECT position FROM public.handled) AS m
			WHERE position <> ALL ($1))
		UNION ALL
		(SELECT position, 'too often' FROM (SELECT position FROM public.handled EXCEPT ALL SELECT position FROM eventstream.events) AS m)
		UNION ALL
		(SELECT position, 'not left out' FROM public.handled WHERE position = ANY ($1))
		UNION ALL
		(SELECT position, 'out of order' FROM (
			SELECT position, version, lag(version) OVER (PARTITION BY stream_id ORDER BY id) AS before FROM public.handled) AS o
			WHERE version <= before)
		LIMIT 20`, append([]int64{}, except...))
}

func requireNoRow(t testing.TB, b *bundle, sql string, args ...any) {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, sql, args...)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		return fmt.Sprint(values...), err
	})
	require.NoError(t, err)
	require.Empty(t, found)
}

// awaitSQL waits until a query gives this text.
func awaitSQL(t testing.TB, b *bundle, want, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, blockTimeout)
	defer cancel()
	var got string
	for {
		err := b.pool.QueryRow(ctx, sql, args...).Scan(&got)
		if err == nil && got == want {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%q and not %q (%v) from %s\n%s", got, want, err, sql, sessionsOf(b))
		}
	}
}

// awaitCheckpoint waits until a subscription, which is being created perhaps, has handled everything there is.
func awaitCheckpoint(t testing.TB, b *bundle, s *subscription.Subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, blockTimeout)
	defer cancel()
	err := s.WaitFor(ctx, drawn(t, b))
	for errors.Is(err, subscription.ErrNotFound) && ctx.Err() == nil {
		err = s.WaitFor(ctx, drawn(t, b))
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", s.Name(), err, sessionsOf(b))
	}
}

// running is a Run that a test looks after.
type running struct {
	cancel context.CancelFunc
	ended  chan error
}

// run begins a Run; the test may end it, or wait for its error.
func run1(t testing.TB, b *bundle, s interface{ Run(context.Context) error }) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	r := &running{cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-r.ended:
		case <-time.After(closeTimeout):
			t.Error("Run did not return")
		}
	})
	return r
}

// wait gives the error that Run ends with by itself.
func (r *running) wait(t testing.TB, b *bundle) error {
	t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(blockTimeout):
		t.Fatalf("Run goes on\n%s", sessionsOf(b))
		return nil
	}
}

// stop ends a Run that has not ended by itself.
func (r *running) stop(t testing.TB) {
	t.Helper()
	r.cancel()
	err := <-r.ended
	r.ended <- err
	require.NoError(t, err)
}

// poison makes a handler fail on some events.
type poison struct {
	mu sync.Mutex
	// left is how often the handler fails on a position from now on; below 0 for ever.
	left map[int64]int
	// alone counts the batches that held nothing but the position.
	alone map[int64]int
	fail  func(e eventstream.LogEvent) error
}

var errPoison = errors.New("cannot digest it")

func poisoned(times int, positions ...int64) *poison {
	p := &poison{left: map[int64]int{}, alone: map[int64]int{}, fail: func(eventstream.LogEvent) error { return errPoison }}
	for _, position := range positions {
		p.left[position] = times
	}
	return p
}

func (p *poison) decide(events []eventstream.LogEvent) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(events) == 1 {
		p.alone[events[0].Position]++
	}
	for _, e := range events {
		if p.left[e.Position] != 0 {
			if len(events) == 1 || p.left[e.Position] < 0 {
				p.left[e.Position]--
			}
			return p.fail(e)
		}
	}
	return nil
}

// cure lets the handler succeed from now on.
func (p *poison) cure(positions ...int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, position := range positions {
		delete(p.left, position)
	}
}

func (p *poison) triedAlone(position int64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alone[position]
}

// quick is a config whose pauses between tries are short.
func quick(policy subscription.FailurePolicy) *subscription.Config {
	return &subscription.Config{
		OnFailure: policy, MaxTries: 3, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
	}
}

// parkedPositions lists what a subscription has put aside.
func parkedPositions(t testing.TB, b *bundle, name string) []int64 {
	t.Helper()
	var positions []int64
	for _, p := range readAll(t, subscription.ParkedEvents(b.ctx, b.repo, name)) {
		positions = append(positions, p.Position)
	}
	return positions
}

// positionOf is where a version of a stream is in the log.
func positionOf(t testing.TB, b *bundle, stream eventstream.StreamID, version int64) int64 {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT position FROM eventstream.events WHERE stream_id = $1 AND version = $2`, string(stream), version)
}

// rounds appends events to several streams in turn: a-1, b-1, a-1, b-1 and so on.
func rounds(t testing.TB, b *bundle, count int, streams ...eventstream.StreamID) {
	t.Helper()
	for i := range count {
		for _, id := range streams {
			_, err := b.repo.Append(b.ctx, id, eventstream.Any, anEvent(t, i))
			require.NoError(t, err)
		}
	}
}

// anotherProcess is what another program would be: a repository on a pool of its own.
func anotherProcess(t testing.TB, b *bundle, config *eventstream.Config, options ...bundleOption) *bundle {
	t.Helper()
	pool := newPool(t, b.dsn, options...)
	repo, err := eventstream.NewRepository(pool, config)
	require.NoError(t, err)
	return &bundle{ctx: b.ctx, dsn: b.dsn, pool: pool, repo: repo}
}

// upTo is the numbers from 1.
func upTo(n int64) []int64 {
	numbers := make([]int64, n)
	for i := range numbers {
		numbers[i] = int64(i + 1)
	}
	return numbers
}

// errorsTold passes on what an observer is told of errors that are tried again.
func errorsTold(f func(error)) subscription.Observer {
	return func(o subscription.Observation) {
		switch o := o.(type) {
		case subscription.Interrupted:
			f(o.Err)
		case subscription.TryFailed:
			f(o.Err)
		}
	}
}
