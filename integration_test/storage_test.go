package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// Large payloads are compressed by lz4 where the server has it.
func TestStorageCompressesLargePayloads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const payload = `{"text":"%s"}`
	for i, length := range []int{100, 100_000} {
		event, err := eventstream.NewEvent("tested.stored", json.RawMessage(fmt.Sprintf(payload, strings.Repeat("large ", length/6))))
		require.NoError(t, err)
		_, err = b.repo.Append(b.ctx, eventstream.StreamID(fmt.Sprint("size-", i)), eventstream.Empty, event)
		require.NoError(t, err)
	}
	var small, large *string
	var has bool
	var bytes int64
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT
		(SELECT pg_column_compression(payload) FROM eventstream.events WHERE stream_id = 'size-0'),
		(SELECT pg_column_compression(payload) FROM eventstream.events WHERE stream_id = 'size-1'),
		(SELECT pg_column_size(payload) FROM eventstream.events WHERE stream_id = 'size-1'),
		(SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression')`).Scan(&small, &large, &bytes, &has))
	require.Nil(t, small)
	require.NotNil(t, large)
	if has {
		require.Equal(t, "lz4", *large)
	}
	require.Less(t, bytes, int64(10_000))
}

// An append writes its events and nothing else: no row is updated or deleted, whether one event or many are appended, by many sessions to one
// stream at once, or refused. What the server counts as dead is then 0, for ever.
func TestStorageNoAppendLeavesADeadRow(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	// A vacuum would set the counter back.
	withoutAutovacuum(t, b)
	const rounds, callers = 30, 8
	given := &givenUp{}
	together := groupRepo(t, b, eventstream.Config{Tracer: given})
	alone, err := eventstream.NewRepository(b.pool, &eventstream.Config{Group: eventstream.GroupConfig{Off: true}})
	require.NoError(t, err)
	group, ctx := errgroup.WithContext(b.ctx)
	for caller := range callers {
		group.Go(func() error {
			for n := range rounds {
				own := eventstream.StreamID(fmt.Sprintf("own-%d-%d", caller, n%3))
				for _, id := range []eventstream.StreamID{"hot", own} {
					if _, err := alone.Append(ctx, id, eventstream.Any, anEvent(t, n)); err != nil {
						return err
					}
					if _, err := together.Append(ctx, id, eventstream.Any, someEvents(t, 3)...); err != nil {
						return err
					}
				}
				for _, expected := range []eventstream.Expected{eventstream.Exact(0), eventstream.Empty} {
					for _, count := range []int{1, 3} {
						if _, err := alone.Append(ctx, own, expected, someEvents(t, count)...); !errors.Is(err, eventstream.ErrVersionConflict) {
							return fmt.Errorf("not refused: %w", err)
						}
					}
				}
				if _, err := appendBatch(ctx, b.pool, n%2 == 0, request{"hot", -1, someEvents(t, 2), "", nil},
					request{string(own), -1, someEvents(t, 2), "", nil}, request{"nobody", -1, someEvents(t, 1), "", nil}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	b.pool.Reset() // so that each session reports what it did
	requireNoDeadEvents(t, b, callers*rounds*(2*4+2+2+1), given)
	requireAuditClean(t, b)
}

// givenUp counts the events of a group's statements that gave up waiting for a lock. That need not be a stream's: the server also has one for
// making a table larger, and then the rows of before are left behind, dead.
type givenUp struct{ events atomic.Int64 }

type givenUpKey struct{}

func (*givenUp) TraceAppendStart(ctx context.Context, _ eventstream.AppendStart) context.Context {
	return ctx
}

func (*givenUp) TraceAppendEnd(context.Context, eventstream.AppendEnd) {}

func (*givenUp) TraceBatchStart(ctx context.Context, start eventstream.BatchStart) context.Context {
	return context.WithValue(ctx, givenUpKey{}, start.Events)
}

func (g *givenUp) TraceBatchEnd(ctx context.Context, end eventstream.BatchEnd) {
	if cause, ok := errors.AsType[*pgconn.PgError](end.Err); ok && cause.Code == "55P03" {
		g.events.Add(int64(ctx.Value(givenUpKey{}).(int)))
	}
}

// requireNoDeadEvents waits until the server has counted all events, and demands that it counted nothing else but what was given up.
func requireNoDeadEvents(t *testing.T, b *bundle, events int64, given *givenUp) {
	t.Helper()
	conn := session(t, b)
	const of = ` FROM pg_catalog.pg_stat_all_tables WHERE relid = 'eventstream.events'::regclass`
	waitFor(t, func() bool { return number(t, b.ctx, conn, `SELECT n_tup_ins`+of) >= events },
		func() string { return fmt.Sprint(events, " events are not counted yet") })
	inserted := number(t, b.ctx, conn, `SELECT n_tup_ins`+of)
	require.GreaterOrEqual(t, inserted, events, "rows inserted")
	require.LessOrEqual(t, inserted, events+given.events.Load(), "rows inserted; those given up count")
	require.LessOrEqual(t, number(t, b.ctx, conn, `SELECT n_dead_tup`+of), inserted-events, "rows dead")
	require.Zero(t, number(t, b.ctx, conn, `SELECT n_tup_upd + n_tup_del`+of), "rows updated or deleted")
}
