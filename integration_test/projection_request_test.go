package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// requestState is what has become of the request to rebuild counts, how often it was taken up, and by whom last.
const requestState = `SELECT concat_ws(' ', request_state, takes, split_part(taken_by, ',', 1)) FROM eventstream.audit_projections WHERE projection = 'counts'`

// requestRebuild asks for a rebuild of counts, whose tables are made wrong before: only a rebuild mends them.
func requestRebuild(t *testing.T, b *bundle, opts *subscription.RebuildOptions) subscription.RebuildRequest {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `UPDATE counts.streams SET events = -1`)
	request, err := subscription.RequestRebuild(b.ctx, b.repo, "counts", opts)
	require.NoError(t, err)
	require.False(t, request.Earlier)
	return request
}

// resumed lets a process go on that stops, when the test ends at the latest.
func resumed(t *testing.T, at *pausing) (goOn func()) {
	t.Helper()
	goOn = sync.OnceFunc(func() { close(at.resume) })
	t.Cleanup(goOn)
	return goOn
}

func inPlaceOrBeside(t *testing.T, test func(t *testing.T, opts *subscription.RebuildOptions)) {
	t.Helper()
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprintf("in place %v", inPlace), func(t *testing.T) {
			t.Parallel()
			test(t, &subscription.RebuildOptions{InPlace: inPlace})
		})
	}
}

// Of the processes that run a projection, one takes up a request to rebuild it, beside its Run and those of the others, which go on.
func TestRequestedRebuildIsDoneByOneProcess(t *testing.T) {
	t.Parallel()
	inPlaceOrBeside(t, func(t *testing.T, opts *subscription.RebuildOptions) {
		t.Helper()
		b := setupPatient(t)
		given(t, b, "order-1", 50)
		caughtUp(t, b, projector(t, b, counts(nil)))
		p := projector(t, b, counts(nil))
		keepRunning(t, b, p)
		for range 2 {
			other := anotherProcess(t, b, nil)
			keepRunning(t, other, projector(t, other, counts(nil)))
		}
		awaitSQL(t, b, "3", `SELECT processes::text FROM eventstream.audit_projections`)
		last := keepAppending(t, b, 1)
		requestRebuild(t, b, opts)
		awaitSQL(t, b, "done 1", `SELECT concat_ws(' ', request_state, takes) FROM eventstream.audit_projections`)
		require.NoError(t, p.WaitFor(b.ctx, last()))
		requireCounted(t, b, "counts.streams")
		requireNoRow(t, b, `SELECT projection FROM eventstream.audit_projections
			WHERE problem IS NOT NULL OR rebuild IS NOT NULL OR request_in_place <> $1 OR requested_by <> session_user OR ended_at < taken_at
				OR request_error IS NOT NULL`, opts.InPlace)
		requireAuditClean(t, b)
	})
}

// Steps: a process takes up a request, and stops in the middle; a second one runs the projection, and leaves the request to the first; the
// first is dead for the server; the second takes it over and finishes; the first goes on, and changes nothing.
func TestRequestedRebuildOfAProcessThatDiesIsTakenOver(t *testing.T) {
	t.Parallel()
	inPlaceOrBeside(t, func(t *testing.T, opts *subscription.RebuildOptions) {
		t.Helper()
		b := setupPatient(t)
		given(t, b, "order-1", 50)
		caughtUp(t, b, projector(t, b, counts(nil)))
		at := pauseBefore(0, "hold_projection")
		first := anotherProcess(t, b, nil, tracedBy(at), withMaxConns(16), named("first"))
		keepRunning(t, first, projector(t, first, counts(nil)))
		requestRebuild(t, b, opts)
		goOn := resumed(t, at)
		at.await(t, nil)
		awaitSQL(t, b, "running 1 first", requestState)

		second := anotherProcess(t, b, nil, named("second"))
		seen := pauseBefore(0, "")
		watched := anotherProcess(t, b, nil, tracedBy(seen), named("second"))
		p := projector(t, second, counts(nil))
		keepRunning(t, second, p)
		keepRunning(t, watched, projector(t, watched, counts(nil)))
		require.Eventually(t, func() bool { return seen.count("ProjectionRebuildRequests") >= 3 }, blockTimeout, time.Millisecond)
		require.Zero(t, seen.count("ProjectionRebuildLock"), "no connection is opened for a lock that is held")
		awaitSQL(t, b, "running 1 first", requestState)

		killRebuildLock(t, b)
		awaitSQL(t, b, "done 2 second", requestState)
		require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
		requireCounted(t, b, "counts.streams")
		goOn()
		given(t, b, "order-2", 50)
		require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
		requireCounted(t, b, "counts.streams")
		requireNoRow(t, b, `SELECT name FROM eventstream.subscriptions WHERE rebuilds IS NOT NULL`)
		awaitSQL(t, b, "done 2 second", requestState)
	})
}

// Steps: the one process that runs a projection dies while it rebuilds it, as requested; another one starts. In place, its Run would be refused,
// since the tables are not complete: it finishes what was requested first.
func TestRequestedRebuildIsFinishedByTheNextToStart(t *testing.T) {
	t.Parallel()
	inPlaceOrBeside(t, func(t *testing.T, opts *subscription.RebuildOptions) {
		t.Helper()
		b := setupPatient(t)
		given(t, b, "order-1", 50)
		caughtUp(t, b, projector(t, b, counts(nil)))
		at := pauseBefore(0, "hold_projection")
		first := anotherProcess(t, b, nil, tracedBy(at), withMaxConns(16), named("first"))
		ctx, cancel := context.WithCancel(b.ctx)
		defer cancel()
		ended := inBackground(func() error { return projector(t, first, counts(nil)).Run(ctx) })
		requestRebuild(t, b, opts)
		goOn := resumed(t, at)
		at.await(t, ended)
		killRebuildLock(t, b)
		awaitSQL(t, b, "false", `SELECT eventstream.is_rebuilding('counts')::text`)
		cancel() // what comes of a lock whose loss it does not know of is another test's
		goOn()
		require.NoError(t, <-ended)
		awaitSQL(t, b, "waiting 1 first", requestState)

		second := anotherProcess(t, b, nil, named("second"))
		p := projector(t, second, counts(nil))
		keepRunning(t, second, p)
		awaitSQL(t, b, "done 2 second", requestState)
		require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
		requireCounted(t, b, "counts.streams")
	})
}

// A process that shuts down while it rebuilds gives the request back: its Run returns nil at once, and the next process takes the request up.
func TestRequestedRebuildIsGivenBackOnShutdown(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	given(t, b, "order-1", 50)
	caughtUp(t, b, projector(t, b, counts(nil)))
	p, held := heldInRebuild(b)
	stop := keepRunning(t, b, projector(t, b, p))
	requestRebuild(t, b, nil)
	<-held
	awaitSQL(t, b, "running 1", `SELECT concat_ws(' ', request_state, takes) FROM eventstream.audit_projections`)
	stop()
	awaitSQL(t, b, "waiting interrupted 0", `SELECT concat_ws(' ', request_state, rebuild_state, processes) FROM eventstream.audit_projections`)
	second := anotherProcess(t, b, nil, named("second"))
	keepRunning(t, second, projector(t, second, counts(nil)))
	awaitSQL(t, b, "done 2 second", requestState)
	requireCounted(t, b, "counts.streams")
}

// heldInRebuild is counts whose Apply, in a rebuild beside, does not return before its context ends; held is closed once it is called.
func heldInRebuild(*bundle) (subscription.Projection, <-chan struct{}) {
	held := make(chan struct{})
	var once atomic.Bool
	p := counts(nil)
	apply := p.Apply
	p.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		if schema != p.Name {
			if once.CompareAndSwap(false, true) {
				close(held)
			}
			<-ctx.Done()
			return ctx.Err()
		}
		return apply(ctx, tx, schema, events)
	}
	return p, held
}

// What fails in a rebuild for good (a handler's error, a Setup's, a right that is missing) is recorded and told, and not tried for ever; the
// projection goes on as it was, and the next request is a new one.
func TestRequestedRebuildThatFailsIsClosed(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	given(t, b, "order-1", 50)
	caughtUp(t, b, projector(t, b, counts(nil)))
	poisoned := counts(&subscription.Config{MaxTries: 2, MinBackoff: time.Millisecond, BatchSize: 10})
	apply := poisoned.Apply
	poisoned.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		for i := range events {
			if events[i].Version == 25 && schema != "counts" {
				return errors.New("this cannot be counted")
			}
		}
		return apply(ctx, tx, schema, events)
	}
	witness := newWitness()
	poisoned.Config.Observer = witness.observe
	p, err := subscription.NewProjector(b.repo, poisoned)
	require.NoError(t, err)
	stop := keepRunning(t, b, p)
	first, err := subscription.RequestRebuild(b.ctx, b.repo, "counts", nil)
	require.NoError(t, err)
	awaitSQL(t, b, "failed 1", `SELECT concat_ws(' ', request_state, takes) FROM eventstream.audit_projections`)
	var reason string
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT request_error FROM eventstream.audit_projections`).Scan(&reason))
	require.Contains(t, reason, `handler of subscription "counts" failed 2 times on the event at position 25`)
	require.Contains(t, reason, "this cannot be counted")
	given(t, b, "order-2", 5)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	requireCounted(t, b, "counts.streams")
	stop()
	failed := toldOf[subscription.RebuildFailed](witness)
	require.Equal(t, []subscription.RebuildTaken{{Projection: "counts", By: "postgres"}}, toldOf[subscription.RebuildTaken](witness))
	require.Len(t, failed, 1)
	require.False(t, failed[0].Again)
	var handler *subscription.HandlerError
	require.ErrorAs(t, failed[0].Err, &handler)

	again := requestRebuild(t, b, nil)
	require.NotEqual(t, first.ID, again.ID)
	keepRunning(t, b, projector(t, b, counts(nil)))
	awaitSQL(t, b, "done 1", `SELECT concat_ws(' ', request_state, takes) FROM eventstream.audit_projections`)
	requireCounted(t, b, "counts.streams")
}

// A request waits while nobody runs the projection, and is done once somebody does: where the projection is paused, which it stays, and where
// its schema was dropped, so that Run would be refused.
func TestRequestedRebuildWaitsForAProcess(t *testing.T) {
	t.Parallel()
	for what, before := range map[string]string{
		"as it is":       `SELECT 1`,
		"paused":         `SELECT eventstream.pause_subscription('counts', true)`,
		"without tables": `DROP SCHEMA counts CASCADE`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setupPatient(t)
			given(t, b, "order-1", 50)
			caughtUp(t, b, projector(t, b, counts(nil)))
			requestRebuild(t, b, nil)
			execSQL(t, b.ctx, b.pool, before)
			requireRow(t, b, `SELECT 1 FROM eventstream.audit_projections WHERE request_state = 'waiting' AND processes = 0 AND takes = 0`)
			keepRunning(t, b, projector(t, b, counts(nil)))
			awaitSQL(t, b, "done 1", `SELECT concat_ws(' ', request_state, takes) FROM eventstream.audit_projections`)
			requireCounted(t, b, "counts.streams")
			require.Equal(t, what == "paused", number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subscriptions WHERE paused`) == 1)
		})
	}
}

// What is canceled is not done: neither what waits, nor what a process is at, which leaves nothing behind.
func TestRequestedRebuildIsCanceled(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	given(t, b, "order-1", 50)
	caughtUp(t, b, projector(t, b, counts(nil)))
	canceled, err := subscription.CancelRebuild(b.ctx, b.repo, "counts")
	require.NoError(t, err)
	require.False(t, canceled, "there is none")
	requestRebuild(t, b, nil)
	canceled, err = subscription.CancelRebuild(b.ctx, b.repo, "counts")
	require.NoError(t, err)
	require.True(t, canceled)

	p, held := heldInRebuild(b)
	live := projector(t, b, p)
	keepRunning(t, b, live)
	awaitCheckpointOf(t, b, live)
	awaitSQL(t, b, "canceled 0", `SELECT concat_ws(' ', request_state, takes) FROM eventstream.audit_projections`)
	requestRebuild(t, b, nil)
	<-held
	canceled, err = subscription.CancelRebuild(b.ctx, b.repo, "counts")
	require.NoError(t, err)
	require.True(t, canceled)
	awaitSQL(t, b, "canceled f 0", `SELECT concat_ws(' ', p.request_state, eventstream.is_rebuilding('counts'), (SELECT count(*) FROM pg_namespace WHERE nspname ~ '^_counts'))
		FROM eventstream.audit_projections AS p WHERE p.rebuild IS NULL`)
	given(t, b, "order-2", 5)
	require.NoError(t, live.WaitFor(b.ctx, drawn(t, b)))
}

// Steps: a requested rebuild stops right before it switches, and is canceled. It goes on, sees that nobody wants it, and changes nothing.
func TestRequestedRebuildThatIsCanceledDoesNotSwitch(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	given(t, b, "order-1", 50)
	caughtUp(t, b, projector(t, b, counts(nil)))
	at := pauseBefore(0, "ProjectionEndRebuild")
	a := anotherProcess(t, b, nil, tracedBy(at), withMaxConns(16))
	keepRunning(t, a, projector(t, a, counts(nil)))
	requestRebuild(t, b, nil)
	goOn := resumed(t, at)
	at.await(t, nil)
	canceled := inBackground(func() error { _, err := subscription.CancelRebuild(b.ctx, b.repo, "counts"); return err })
	// It holds the row that the cancellation locks first: one of the two is before the other.
	endsOrIsBlocked(t, b, canceled)
	goOn()
	require.NoError(t, <-canceled)
	awaitSQL(t, b, "done 1", `SELECT concat_ws(' ', request_state, takes) FROM eventstream.audit_projections`)
	requireCounted(t, b, "counts.streams")
}

// Steps: a process has begun to run a projection whose tables are gone, which is refused; then a rebuild is requested. The process takes it up
// without being started anew, since its Runner goes on to try.
func TestRequestedRebuildIsDoneByARunnerThatWasRefused(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	given(t, b, "order-1", 50)
	caughtUp(t, b, projector(t, b, counts(nil)))
	execSQL(t, b.ctx, b.pool, `DROP SCHEMA counts CASCADE`)
	p := projector(t, b, counts(nil))
	told := newWitness()
	runner := &subscription.Runner{Jobs: []subscription.Job{p}, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Observer: told.observe}
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	ended := inBackground(func() error { return runner.Run(ctx) })
	require.Eventually(t, func() bool { return len(toldOf[subscription.RunRestarts](told)) > 0 }, blockTimeout, time.Millisecond)
	_, err := subscription.RequestRebuild(b.ctx, b.repo, "counts", nil)
	require.NoError(t, err)
	awaitSQL(t, b, "done", `SELECT request_state FROM eventstream.audit_projections`)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	requireCounted(t, b, "counts.streams")
	stop()
	require.NoError(t, <-ended)
}

// A request is refused with what is wrong: an unknown projection, a subscription that is none, a number of shards; and whoever asks for what is
// under way is told.
func TestRequestedRebuildsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setupPatient(t))
	given(t, b, "order-1", 50)
	_, err := subscription.RequestRebuild(b.ctx, b.repo, "counts", nil)
	require.ErrorIs(t, err, subscription.ErrNotFound)
	_, err = subscription.CancelRebuild(b.ctx, b.repo, "counts")
	require.ErrorIs(t, err, subscription.ErrNotFound)
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), nil)
	require.NoError(t, s.Create(b.ctx))
	_, err = subscription.RequestRebuild(b.ctx, b.repo, "reader", nil)
	require.ErrorIs(t, err, subscription.ErrMismatch)
	require.ErrorContains(t, err, "delivery transaction, now projection")
	caughtUp(t, b, projector(t, b, counts(nil)))
	_, err = subscription.RequestRebuild(b.ctx, b.repo, "counts", &subscription.RebuildOptions{Shards: 1000})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)

	first, err := subscription.RequestRebuild(b.ctx, b.repo, "counts", nil)
	require.NoError(t, err)
	second, err := subscription.RequestRebuild(b.ctx, b.repo, "counts", &subscription.RebuildOptions{InPlace: true})
	require.NoError(t, err)
	require.Equal(t, subscription.RebuildRequest{ID: first.ID, Earlier: true}, second)
	_, err = subscription.CancelRebuild(b.ctx, b.repo, "counts")
	require.NoError(t, err)

	p, held := heldInRebuild(b)
	ctx, cancel := context.WithCancel(b.ctx)
	rebuilding := inBackground(func() error { return projector(t, b, p).Rebuild(ctx, nil) })
	<-held
	_, err = subscription.RequestRebuild(b.ctx, b.repo, "counts", nil)
	require.ErrorIs(t, err, subscription.ErrRebuildRunning)
	canceled, err := subscription.CancelRebuild(b.ctx, b.repo, "counts")
	require.NoError(t, err)
	require.False(t, canceled, "it was not requested")
	cancel()
	require.ErrorIs(t, <-rebuilding, context.Canceled)
	for _, sql := range []string{
		`INSERT INTO eventstream.rebuild_requests (projection, in_place) VALUES ('nobody', false)`,
		`INSERT INTO eventstream.rebuild_requests (projection, in_place, shard_count) VALUES ('reader', false, 0)`,
		`INSERT INTO eventstream.rebuild_requests (projection, in_place, takes) VALUES ('reader', false, 1)`,
		`INSERT INTO eventstream.rebuild_requests (projection, in_place, outcome) VALUES ('reader', false, 'done')`,
		`INSERT INTO eventstream.rebuild_requests (projection, in_place, outcome, ended_at) VALUES ('reader', false, 'failed', now())`,
		`INSERT INTO eventstream.rebuild_requests (projection, in_place, outcome, ended_at) VALUES ('reader', false, 'lost', now())`,
	} {
		_, err := b.pool.Exec(b.ctx, sql)
		require.Error(t, err, sql)
	}
}

// Requests come and go under writers while four processes run the projection: each is done once, or canceled, and nothing is lost or counted
// twice.
func TestHammerRequestedRebuilds(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	for i := range 20 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("old-%d", i)), 20)
	}
	p := projector(t, b, counts(nil))
	keepRunning(t, b, p)
	for range 3 {
		other := anotherProcess(t, b, nil)
		keepRunning(t, other, projector(t, other, counts(nil)))
	}
	last := keepAppending(t, b, 1)
	for round := range 4 {
		request, err := subscription.RequestRebuild(b.ctx, b.repo, "counts", &subscription.RebuildOptions{InPlace: round%2 == 1, Shards: round})
		require.NoError(t, err)
		require.False(t, request.Earlier)
		awaitSQL(t, b, "done 1 "+request.ID.String(), `SELECT concat_ws(' ', outcome, takes, request_id) FROM eventstream.rebuild_requests`)
	}
	require.NoError(t, p.WaitFor(b.ctx, last()))
	requireCounted(t, b, "counts.streams")
	requireAuditClean(t, b)
}

func awaitCheckpointOf(t *testing.T, b *bundle, p *subscription.Projector) {
	t.Helper()
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
}

func requireRow(t *testing.T, b *bundle, sql string) {
	t.Helper()
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM (`+strings.TrimSpace(sql)+`) AS q`), sql)
}
