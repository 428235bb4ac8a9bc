package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// ownErrors are errors of handlers that look like errors of the store.
var ownErrors = map[string]func(ctx context.Context, h querier) error{
	"not an integer":    execFails(`SELECT 'x'::text::integer`),
	"not in jsonb":      execFails(`SELECT '{"a": "\u0000"}'::jsonb ->> 'a'`),
	"no table":          execFails(`SELECT * FROM public.no_such_table`),
	"no function":       execFails(`SELECT public.no_such_function()`),
	"no column":         execFails(`SELECT no_such_column FROM public.handled`),
	"no schema":         execFails(`CREATE TABLE no_such_schema.t ()`),
	"a refusal":         execFails(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'ES012'; END $$`),
	"another refusal":   execFails(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'ES014'; END $$`),
	"a named key":       execFails(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '23505', CONSTRAINT = 'events_pkey'; END $$`),
	"shard lost":        given1(&subscription.ShardLostError{Subscription: "other"}),
	"mismatch":          given1(fmt.Errorf("inner: %w", subscription.ErrMismatch)),
	"not migrated":      given1(eventstream.ErrNotMigrated),
	"beyond the log":    given1(&eventstream.BeyondLogError{Field: "position", Value: 7, Last: 1}),
	"transaction ended": given1(eventstream.ErrTxEnded),
	"read-only":         given1(eventstream.ErrReadOnly),
	"no rows":           given1(pgx.ErrNoRows),
	"canceled":          given1(context.Canceled),
	"deadline":          given1(context.DeadlineExceeded),
	"end of file":       given1(io.EOF),
}

func execFails(sql string) func(context.Context, querier) error {
	return func(ctx context.Context, h querier) error {
		_, err := h.Exec(ctx, sql)
		return err
	}
}

func given1(err error) func(context.Context, querier) error {
	return func(context.Context, querier) error { return err }
}

// failingOn is a handler of a kind that runs fail for one event, in its transaction or on the pool.
func failingOn(b *bundle, kind string, position int64, fail func(context.Context, querier) error) subscription.Handler {
	each := func(ctx context.Context, h querier, events []eventstream.LogEvent) error {
		for _, e := range events {
			if e.Position == position {
				if err := fail(ctx, h); err != nil {
					return err
				}
			}
		}
		return writeHandled(ctx, h, events)
	}
	switch kind {
	case "tx":
		return subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
			return each(ctx, tx, events)
		})
	case "effect":
		return subscription.EffectHandler(func(ctx context.Context, events []eventstream.LogEvent) error { return each(ctx, b.pool, events) })
	default:
		return subscription.AsyncHandler(func(ctx context.Context, events []eventstream.LogEvent, ack func(error)) {
			go func() { ack(each(ctx, b.pool, events)) }()
		})
	}
}

// Whatever a handler returns is the handler's: it is tried MaxTries times, and then Run ends with a *HandlerError that names the event and
// has the very error inside, under no other name.
func TestSubscriptionHandlerErrorStaysItsOwn(t *testing.T) {
	t.Parallel()
	eachKindAndSome(t, slices.Sorted(maps.Keys(ownErrors)), func(t *testing.T, b *bundle, kind string, names []string) {
		rounds(t, b, 3, "a-1")
		for _, name := range names {
			fail := ownErrors[name]
			want := fail(b.ctx, b.pool)
			require.Error(t, want, name)
			reader := "reader-" + strings.ReplaceAll(name, " ", "-")
			err := run1(t, b, subscribe(t, b, reader, failingOn(b, kind, 2, fail), quick(subscription.Stop))).wait(t, b)
			requireOwnError(t, err, want)
			var stopped *subscription.HandlerError
			require.ErrorAs(t, err, &stopped, name)
			require.Equal(t, []any{reader, 0, int64(2), 3},
				[]any{stopped.Subscription, stopped.Shard, stopped.Event.Position, stopped.Tries})
			requireFree(t, b, reader)

			// A replay tells the same.
			s := subscribe(t, b, reader, failingOn(b, kind, 2, fail), quick(subscription.Park))
			parks := run1(t, b, s)
			awaitCheckpoint(t, b, s)
			parks.stop(t)
			require.Equal(t, []int64{2}, parkedPositions(t, b, reader))
			handled, err := s.ReplayParked(b.ctx)
			require.Zero(t, handled)
			requireOwnError(t, err, want)
			require.ErrorAs(t, err, &stopped, name)
			require.Equal(t, []any{reader, 0, int64(2), 4},
				[]any{stopped.Subscription, stopped.Shard, stopped.Event.Position, stopped.Tries})
			require.Equal(t, []int64{2}, parkedPositions(t, b, reader))
		}
	})
}

// eachKindAndSome is eachKind, with some of the names at a time, so that none of the tests takes long.
func eachKindAndSome(t *testing.T, names []string, test func(t *testing.T, b *bundle, kind string, names []string)) {
	t.Helper()
	for kind := range handlerKinds {
		for some := range slices.Chunk(names, 5) {
			t.Run(kind+" "+some[0], func(t *testing.T) {
				t.Parallel()
				test(t, withHandled(t, setup(t)), kind, some)
			})
		}
	}
}

// requireOwnError demands that an error holds another one, and is none of the store's that this is not.
func requireOwnError(t testing.TB, err, want error) {
	t.Helper()
	require.Error(t, err)
	var cause, is *pgconn.PgError
	if errors.As(want, &cause) {
		require.ErrorAs(t, err, &is)
		require.Equal(t, []string{cause.Code, cause.Message}, []string{is.Code, is.Message})
	} else {
		require.ErrorIs(t, err, want)
	}
	for _, other := range []error{
		eventstream.ErrInvalidValue, eventstream.ErrNotMigrated, eventstream.ErrReadOnly, subscription.ErrShardLost,
		eventstream.ErrTxEnded, eventstream.ErrVersionConflict, subscription.ErrMismatch, eventstream.ErrBeyondLog,
	} {
		if !errors.Is(want, other) {
			require.NotErrorIs(t, err, other)
		}
	}
}

// What a TxHandler's writes violate only at COMMIT is the handler's failure too.
func TestSubscriptionDeferredConstraintIsTheHandlers(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	execSQL(t, b.ctx, b.pool, `ALTER TABLE public.handled ADD CONSTRAINT handled_version_once UNIQUE (version) DEFERRABLE INITIALLY DEFERRED`)
	rounds(t, b, 3, "a-1")
	execSQL(t, b.ctx, b.pool, `INSERT INTO public.handled (position, stream_id, version) VALUES (0, 'taken', 2)`)
	err := run1(t, b, subscribe(t, b, "reader", handlerKinds["tx"](b, nil), quick(subscription.Stop))).wait(t, b)
	var stopped *subscription.HandlerError
	require.ErrorAs(t, err, &stopped)
	require.Equal(t, []any{int64(2), 3}, []any{stopped.Event.Position, stopped.Tries})
	requireSQLState(t, err, "23505")

	s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), quick(subscription.Park))
	run1(t, b, s)
	awaitCheckpoint(t, b, s)
	require.Equal(t, []int64{2}, parkedPositions(t, b, "reader"))
	require.Equal(t, []int64{1, 3}, handledVersions(t, b, "a-1"))
	_, err = s.ReplayParked(b.ctx)
	require.ErrorAs(t, err, &stopped)
	require.Equal(t, 4, stopped.Tries)
	execSQL(t, b.ctx, b.pool, `DELETE FROM public.handled WHERE stream_id = 'taken'`)
	handled, err := s.ReplayParked(b.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, handled)
	require.Equal(t, []int64{1, 3, 2}, handledVersions(t, b, "a-1"))
}

// An error of Setup, or its panic, is the projection's own, and names it.
func TestProjectionSetupErrorStaysItsOwn(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	for name, fail := range ownErrors {
		want := fail(b.ctx, b.pool)
		own := "p_" + strings.NewReplacer(" ", "_", "-", "_").Replace(name)
		p := projector(t, b, subscription.Projection{
			Name:  own,
			Setup: func(ctx context.Context, tx pgx.Tx, _ string) error { return fail(ctx, tx) },
			Apply: func(context.Context, pgx.Tx, string, []eventstream.LogEvent) error { return nil },
		})
		for _, err := range []error{p.Run(b.ctx), p.Create(b.ctx), p.Rebuild(b.ctx, nil)} {
			requireOwnError(t, err, want)
			var failed *subscription.HandlerError
			require.ErrorAs(t, err, &failed, name)
			require.Equal(t, own, failed.Subscription)
			require.Zero(t, failed.Event.Position)
			require.ErrorContains(t, err, "Setup")
		}
	}
	t.Run("panic", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		p := projector(t, b, subscription.Projection{
			Name:  "stock",
			Setup: func(context.Context, pgx.Tx, string) error { panic("boom") },
			Apply: func(context.Context, pgx.Tx, string, []eventstream.LogEvent) error { return nil },
		})
		var panicked *subscription.HandlerPanicError
		require.ErrorAs(t, p.Run(b.ctx), &panicked)
		require.Equal(t, "boom", panicked.Value)
	})
}

// An error of an inline projection comes back from the append as it is.
func TestProjectionInlineErrorStaysItsOwn(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	for name, fail := range ownErrors {
		repo, err := eventstream.NewRepository(b.pool, &eventstream.Config{Inline: []eventstream.InlineProjection{
			func(ctx context.Context, tx pgx.Tx, _ []eventstream.Event) error { return fail(ctx, tx) },
		}})
		require.NoError(t, err)
		_, err = repo.Append(b.ctx, "a-1", eventstream.Any, anEvent(t, 1))
		require.Error(t, err, name)
		requireOwnError(t, err, fail(b.ctx, b.pool))
	}
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
}
