package integration_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// witnessed is a projector of a projection whose observer keeps what it is told.
func witnessed(t *testing.T, b *bundle, p subscription.Projection) (*subscription.Projector, *observed) {
	t.Helper()
	told := newWitness()
	p.Config = &subscription.Config{Observer: told.observe}
	made, err := subscription.NewProjector(b.repo, p)
	require.NoError(t, err)
	return made, told
}

// Steps: a rebuild stops right before the commit that makes its tables live; its context ends, or its lock is lost; it goes on. It is done, and
// everybody is told so.
func TestProjectionRebuildIsSeenThroughAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"context", "lock"} {
		for _, requested := range []bool{false, true} {
			name := "called, " + end
			if requested {
				name = "requested, " + end
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				inPlaceOrBeside(t, func(t *testing.T, opts *subscription.RebuildOptions) {
					t.Helper()
					b := setupPatient(t)
					given(t, b, "order-1", 50)
					caughtUp(t, b, projector(t, b, counts(nil)))
					at := pauseBefore(0, "commit")
					at.after = "SubscriptionReplace"
					a := anotherProcess(t, b, nil, tracedBy(at), withMaxConns(16), named("first"))
					projection, rebuilds := tellsOfRebuilds(opts)
					p, told := witnessed(t, a, projection)
					goOn := resumed(t, at)
					ctx, cancel := context.WithCancel(b.ctx)
					defer cancel()
					var ended <-chan error
					if requested {
						requestRebuild(t, b, opts)
						ended = inBackground(func() error { return p.Run(ctx) })
					} else {
						ended = inBackground(func() error { return p.Rebuild(ctx, opts) })
					}
					at.await(t, ended)
					if end == "context" {
						cancel()
					} else {
						killRebuildLock(t, b)
					}
					<-(<-rebuilds).Done()
					goOn()
					if requested {
						awaitSQL(t, b, "done 1 first", requestState)
						awaitTold[subscription.ProjectionRebuilt](t, b, told)
						cancel()
					}
					require.NoError(t, <-ended)
					require.Len(t, toldOf[subscription.ProjectionRebuilt](told), 1)
					require.Empty(t, toldOf[subscription.RebuildFailed](told))
					requireCounted(t, b, "counts.streams")
					requireNoRow(t, b, `SELECT nspname FROM pg_namespace WHERE nspname ~ '^_counts'`)
				})
			})
		}
	}
}

// tellsOfRebuilds is counts that gives the context in which a rebuild applies the first events.
func tellsOfRebuilds(opts *subscription.RebuildOptions) (subscription.Projection, <-chan context.Context) {
	contexts := make(chan context.Context, 1)
	var first sync.Once
	p := counts(nil)
	apply := p.Apply
	p.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		if opts.InPlace || schema != p.Name {
			first.Do(func() { contexts <- ctx })
		}
		return apply(ctx, tx, schema, events)
	}
	return p, contexts
}

// Steps: a process that rebuilds by request stops right before it switches, and loses its lock; another one does what was requested, and a third
// one begins anew. The first goes on: it tells nobody that the request was canceled, and leaves the tables of the third alone.
func TestRequestedRebuildThatAnotherHasDone(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	told, goOn := withoutItsLock(t, b)
	second := anotherProcess(t, b, nil, named("second"))
	stop := keepRunning(t, second, projector(t, second, counts(nil)))
	awaitSQL(t, b, "done 2 second", requestState)
	stop()
	stopNext := nextRebuild(t, b)
	goOn()
	awaitTold[subscription.Interrupted](t, b, told)
	require.Empty(t, toldOf[subscription.RebuildFailed](told))
	requireRow(t, b, `SELECT 1 FROM pg_namespace WHERE nspname = '_counts_rebuild'`)
	stopNext()
	requireCounted(t, b, "counts.streams")
}

// Steps: the same, but the request is canceled before the next rebuild begins. What is dropped then is what the first one filled, and that is gone.
func TestRequestedRebuildThatIsCanceledLeavesTheNextAlone(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	told, goOn := withoutItsLock(t, b)
	canceled, err := subscription.CancelRebuild(b.ctx, b.repo, "counts")
	require.NoError(t, err)
	require.True(t, canceled)
	awaitSQL(t, b, "false", `SELECT eventstream.is_rebuilding('counts')::text`)
	stopNext := nextRebuild(t, b)
	goOn()
	failed := awaitTold[subscription.RebuildFailed](t, b, told)
	require.ErrorIs(t, failed.Err, subscription.ErrRebuildCanceled)
	requireRow(t, b, `SELECT 1 FROM pg_namespace WHERE nspname = '_counts_rebuild'`)
	stopNext()
}

// withoutItsLock is a process that rebuilds counts by request, was stopped right before it switches, and has lost its lock since.
func withoutItsLock(t *testing.T, b *bundle) (told *observed, goOn func()) {
	t.Helper()
	given(t, b, "order-1", 50)
	caughtUp(t, b, projector(t, b, counts(nil)))
	at := pauseBefore(0, "hold_projection")
	first := anotherProcess(t, b, nil, tracedBy(at), withMaxConns(16), named("first"))
	p, told := witnessed(t, first, counts(nil))
	requestRebuild(t, b, nil)
	keepRunning(t, first, p)
	goOn = resumed(t, at)
	at.await(t, nil)
	killRebuildLock(t, b)
	return told, goOn
}

// nextRebuild begins a rebuild of counts, which has made its tables once this returns, and does not end before it is stopped.
func nextRebuild(t *testing.T, b *bundle) (stop func()) {
	t.Helper()
	p, held := heldInRebuild(b)
	ctx, cancel := context.WithCancel(b.ctx)
	t.Cleanup(cancel)
	ended := inBackground(func() error { return projector(t, b, p).Rebuild(ctx, nil) })
	<-held
	return func() {
		cancel()
		require.Error(t, <-ended)
	}
}
