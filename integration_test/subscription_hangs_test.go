package integration_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// hangsOnce is a process that hangs before a statement, once, until something has happened.
type hangsOnce struct {
	before string
	hung   atomic.Bool
	until  func()
}

func (h *hangsOnce) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, h.before) && h.hung.CompareAndSwap(false, true) {
		h.until()
	}
	return ctx
}

func (*hangsOnce) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A process hangs in the transaction that moves a checkpoint, until the server ends that for being idle. For a handler that has no
// transaction, it is no failure of the handler's: the checkpoint is moved again, and Run goes on.
func TestSubscriptionThatHangsAtItsCheckpointGoesOn(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"effect", "async"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			rounds(t, b, 3, "a-1")
			tracer := &hangsOnce{before: "eventstream.move_checkpoint", until: func() {
				awaitSQL(t, b, "0", `SELECT count(*)::text FROM pg_stat_activity
					WHERE application_name = 'hangs' AND state = 'idle in transaction' AND query LIKE '%eventstream.batch%'`)
			}}
			p := anotherProcess(t, b, nil, named("hangs"), func(c *pgxpool.Config) { c.ConnConfig.Tracer = tracer })
			config := quick(subscription.Park)
			config.IdleTimeout = 300 * time.Millisecond
			s := subscribe(t, p, "reader", handlerKinds[kind](b, nil), config)
			keepRunning(t, p, s)
			require.NoError(t, s.WaitFor(b.ctx, drawn(t, b)))
			require.True(t, tracer.hung.Load())
			rounds(t, b, 3, "a-1")
			require.NoError(t, s.WaitFor(b.ctx, drawn(t, b)))
			require.Empty(t, parkedPositions(t, b, "reader"))
		})
	}
}

// A rebuild beside a live projection that has more shards than connections comes level while writers go on: what the live one keeps while it
// is held does not starve the feed.
func TestProjectionRebuildBesideManyShards(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	given(t, b, "old-1", 100)
	p := projector(t, b, counts(&subscription.Config{BatchSize: 100, Shards: 4}))
	keepRunning(t, b, p)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	stop := keepAppending(t, b, 2)
	require.NoError(t, p.Rebuild(b.ctx, nil))
	stop()
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	requireCounted(t, b, "counts.streams")
}

// shortBeforeLocks gives a connection short times for what idles in a transaction, and for a transaction, before it begins the one that holds
// the lock of a member or of a rebuild. Other transactions of the process have as long as they need on a busy machine.
type shortBeforeLocks struct{}

func (shortBeforeLocks) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, "BEGIN") && strings.Contains(data.SQL, "transaction_timeout") {
		_ = conn.PgConn().Exec(ctx, `SET idle_in_transaction_session_timeout = '500ms';
			SELECT set_config('transaction_timeout', '500ms', false) WHERE current_setting('transaction_timeout', true) IS NOT NULL`).Close()
	}
	return ctx
}

func (shortBeforeLocks) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// The transactions that hold the lock of a member and that of a rebuild idle for as long as these last, whatever a session comes with.
func TestLocksOutlastTheTimesOfASession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 1)
	idle := func(name string, count string) {
		t.Helper()
		awaitSQL(t, b, count, `SELECT count(*)::text FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle in transaction'
			AND query = 'SELECT 1' AND state_change < clock_timestamp() - interval '1500 ms'`, name)
	}
	member := anotherProcess(t, b, nil, named("member"), tracedWith(shortBeforeLocks{}))
	keepRunning(t, member, subscribe(t, member, "reader", subscription.TxHandler(newJournal().tx), nil))
	idle("member", "1")

	rebuilds := anotherProcess(t, b, nil, named("rebuilds"), tracedWith(shortBeforeLocks{}))
	projection, held := counts(nil), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(held) })
	t.Cleanup(letGo)
	apply := projection.Apply
	projection.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		<-held
		return apply(ctx, tx, schema, events)
	}
	rebuilt := inBackground(func() error { return projector(t, rebuilds, projection).Rebuild(b.ctx, nil) })
	idle("rebuilds", "2") // the rebuild, and its feed as a member
	letGo()
	require.NoError(t, <-rebuilt)
	requireCounted(t, b, "counts.streams")
}
