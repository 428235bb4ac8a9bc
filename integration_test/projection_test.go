package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// counts is a projection: how many events each stream has, and of what version the last one was.
func counts(config *subscription.Config) subscription.Projection {
	return subscription.Projection{
		Name: "counts",
		Setup: func(ctx context.Context, tx pgx.Tx, schema string) error {
			_, err := tx.Exec(ctx, `CREATE TABLE `+schema+`.streams (stream_id text PRIMARY KEY, events bigint, version bigint)`)
			return err
		},
		Apply: func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
			return applyCounts(ctx, tx, schema+`.streams`, events)
		},
		Config: config,
	}
}

func applyCounts(ctx context.Context, tx pgx.Tx, table string, events []eventstream.LogEvent) error {
	ids, versions := make([]string, len(events)), make([]int64, len(events))
	for i, e := range events {
		ids[i], versions[i] = string(e.StreamID), e.Version
	}
	_, err := tx.Exec(ctx, `INSERT INTO `+table+` AS s
		SELECT u.id, count(*), max(u.version) FROM unnest($1::text[], $2::bigint[]) AS u (id, version) GROUP BY u.id ORDER BY u.id
		ON CONFLICT (stream_id) DO UPDATE SET events = s.events + EXCLUDED.events, version = EXCLUDED.version`, ids, versions)
	return err
}

// requireCounted demands that a projection says what a recount says.
func requireCounted(t testing.TB, b *bundle, table string) {
	t.Helper()
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM (
		(SELECT stream_id::text, count(*), max(version)::bigint FROM eventstream.events GROUP BY stream_id
			EXCEPT ALL SELECT stream_id, events, version FROM `+table+`)
		UNION ALL
		(SELECT stream_id, events, version FROM `+table+`
			EXCEPT ALL SELECT stream_id::text, count(*), max(version)::bigint FROM eventstream.events GROUP BY stream_id)) AS d`))
}

func projector(t testing.TB, b *bundle, p subscription.Projection) *subscription.Projector {
	t.Helper()
	if p.Config == nil {
		p.Config = &subscription.Config{}
	}
	p.Config.Observer = logTroubles(t)
	projector, err := subscription.NewProjector(b.repo, p)
	require.NoError(t, err)
	return projector
}

// keepAppending lets writers append to some streams until the returned function ends them, which gives the last position.
func keepAppending(t testing.TB, b *bundle, writers int) (stop func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	var last atomic.Int64
	group := &errgroup.Group{}
	for w := range writers {
		group.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				result, err := b.repo.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("load-%d-%d", w, i%50)), eventstream.Any, someEvents(t, 2)...)
				if err != nil {
					return err
				}
				for seen := last.Load(); seen < result.LastPosition && !last.CompareAndSwap(seen, result.LastPosition); {
					seen = last.Load()
				}
			}
			return nil
		})
	}
	stop = sync.OnceValue(func() int64 {
		cancel()
		require.NoError(t, group.Wait())
		return last.Load()
	})
	t.Cleanup(func() { stop() })
	return stop
}

func TestProjectionInline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.pool.Exec(b.ctx, `CREATE TABLE public.streams (stream_id text PRIMARY KEY, events bigint, version bigint)`)
	require.NoError(t, err)
	refused := errors.New("not on my watch")
	repo, err := eventstream.NewRepository(b.pool, &eventstream.Config{Inline: []eventstream.InlineProjection{
		func(ctx context.Context, tx pgx.Tx, events []eventstream.Event) error {
			logged := make([]eventstream.LogEvent, len(events))
			for i, e := range events {
				if e.StreamID == "refused-1" {
					return refused
				}
				require.Positive(t, e.Position)
				require.False(t, e.RecordedAt.IsZero())
				logged[i].Event = e
			}
			return applyCounts(ctx, tx, `public.streams`, logged)
		},
	}})
	require.NoError(t, err)

	first := someEvents(t, 3)
	_, err = repo.Append(b.ctx, "order-1", eventstream.Empty, first...)
	require.NoError(t, err)
	again, err := repo.Append(b.ctx, "order-1", eventstream.Empty, first...)
	require.NoError(t, err)
	require.True(t, again.Duplicate, "a duplicate is not projected again")
	_, err = repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "order-2", Expected: eventstream.Any, Events: someEvents(t, 2)})
	require.NoError(t, err)
	late := numbered(t, 3)
	_, err = repo.Ingest(b.ctx, "late-1", late[1:]...)
	require.NoError(t, err)
	_, err = repo.Ingest(b.ctx, "late-1", late[:1]...)
	require.NoError(t, err)
	requireCounted(t, b, "public.streams")

	_, err = repo.Append(b.ctx, "refused-1", eventstream.Any, anEvent(t, 1))
	require.ErrorIs(t, err, refused)
	_, err = repo.Stream(b.ctx, "refused-1")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound, "an error of the projection rolls the append back")

	err = pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error {
		_, err := repo.WithTx(tx).Append(b.ctx, "refused-1", eventstream.Any, anEvent(t, 1))
		require.ErrorIs(t, err, refused)
		_, err = repo.WithTx(tx).Append(b.ctx, "order-3", eventstream.Any, anEvent(t, 1))
		return err // the caller's transaction lives on
	})
	require.NoError(t, err)
	requireCounted(t, b, "public.streams")
	requireAuditClean(t, b)
}

func TestProjectionAsync(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projector(t, b, counts(nil))
	stop := keepRunning(t, b, p)
	last := keepAppending(t, b, 3)
	require.Eventually(t, func() bool {
		return drawn(t, b) > 500
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, p.WaitFor(b.ctx, last()))
	requireCounted(t, b, "counts.streams")
	stop()
	given(t, b, "later-1", 5)
	keepRunning(t, b, projector(t, b, counts(nil)))
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	requireCounted(t, b, "counts.streams")
}

// Beside: readers of the live tables see complete counts all the time, before, during and after the switch.
func TestProjectionRebuildBeside(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			t.Parallel()
			b := setup(t, withMaxConns(16))
			for i := range 100 {
				given(t, b, eventstream.StreamID(fmt.Sprintf("old-%d", i)), 20)
			}
			p := projector(t, b, counts(&subscription.Config{BatchSize: 100}))
			keepRunning(t, b, p)
			require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
			last := keepAppending(t, b, 2)

			ctx, cancel := context.WithCancel(b.ctx)
			reading := make(chan error, 1)
			go func() {
				for seen := int64(0); ctx.Err() == nil; {
					var n int64
					if err := b.pool.QueryRow(b.ctx, `SELECT coalesce(sum(events), 0)::bigint FROM counts.streams`).Scan(&n); err != nil {
						reading <- err
						return
					}
					if n < seen {
						reading <- fmt.Errorf("readers saw %d events, and later %d", seen, n)
						return
					}
					seen = n
				}
				reading <- nil
			}()
			require.NoError(t, p.Rebuild(b.ctx, &subscription.RebuildOptions{Shards: shards}))
			cancel()
			require.NoError(t, <-reading)
			require.NoError(t, p.WaitFor(b.ctx, last()))
			requireCounted(t, b, "counts.streams")
			require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_namespace WHERE nspname IN ('counts_rebuild', 'counts_old')`))
			lag, err := subscription.List(b.ctx, b.repo)
			require.NoError(t, err)
			require.Len(t, lag, 1, "the rebuild's own subscription is gone")
			requireAuditClean(t, b)
		})
	}
}

func TestProjectionRebuildInPlace(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	for i := range 50 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("old-%d", i)), 20)
	}
	p := projector(t, b, counts(nil))
	keepRunning(t, b, p)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	_, err := b.pool.Exec(b.ctx, `UPDATE counts.streams SET events = 7 WHERE stream_id = 'old-7'`)
	require.NoError(t, err)
	last := keepAppending(t, b, 2)
	require.NoError(t, p.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: true, Shards: 8}))
	require.NoError(t, p.WaitFor(b.ctx, last()))
	requireCounted(t, b, "counts.streams")
}

// What fails in a rebuild leaves the live tables and their subscription as they are.
func TestProjectionRebuildFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 5)
	p := projector(t, b, counts(nil))
	stop := keepRunning(t, b, p)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	stop()

	broken := counts(&subscription.Config{MaxTries: 1, MinBackoff: time.Millisecond})
	cause := errors.New("cannot apply")
	broken.Apply = func(context.Context, pgx.Tx, string, []eventstream.LogEvent) error { return cause }
	require.ErrorIs(t, projector(t, b, broken).Rebuild(b.ctx, nil), cause)
	requireCounted(t, b, "counts.streams")

	broken = counts(nil)
	broken.Setup = func(context.Context, pgx.Tx, string) error { return cause }
	require.ErrorIs(t, projector(t, b, broken).Rebuild(b.ctx, nil), cause)
	requireCounted(t, b, "counts.streams")

	given(t, b, "order-2", 5)
	keepRunning(t, b, p)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	require.NoError(t, p.Rebuild(b.ctx, nil), "the next one begins anew")
	requireCounted(t, b, "counts.streams")
}

func TestProjectionBadInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, change := range map[string]func(*subscription.Projection){
		"projection name":  func(p *subscription.Projection) { p.Name = "Not A Schema" },
		"Projection.Setup": func(p *subscription.Projection) { p.Setup = nil },
		"Projection.Apply": func(p *subscription.Projection) { p.Apply = nil },
	} {
		p := counts(nil)
		change(&p)
		_, err := subscription.NewProjector(b.repo, p)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
		require.ErrorContains(t, err, name)
	}
}
