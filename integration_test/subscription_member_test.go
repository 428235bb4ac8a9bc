package integration_test

import (
	"context"
	"net"
	"os"
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

// A checkpoint moves only on a server that has the lock of its owner. Steps: a member claims a shard; its lock falls, as when it was held
// on a server that failed; the same epoch is refused, though nobody else has claimed the shard.
func TestSubscriptionCheckpointNeedsTheOwnersLock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 5)
	require.NoError(t, subscribe(t, b, "reader", subscription.TxHandler(newJournal().tx), nil).Create(b.ctx))
	member, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, member, `SELECT pg_advisory_xact_lock(eventstream.member_key(7))`)
	epoch := number(t, b.ctx, b.pool, `SELECT claimed_epoch FROM eventstream.claim_shards(7, 'test', ARRAY['reader'], '1 hour')`)
	move := func(position int64) error {
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.move_checkpoint('reader', 0, $1, $2, 1)`, epoch, position)
		return err
	}
	moveIdle := func(position int64) int64 {
		return number(t, b.ctx, b.pool, `SELECT eventstream.move_idle_checkpoints(ARRAY['reader'], ARRAY[0], ARRAY[$1::bigint], ARRAY[$2::bigint])`,
			epoch, position)
	}
	require.NoError(t, move(1))
	require.Equal(t, int64(1), moveIdle(2))
	require.NoError(t, member.Rollback(b.ctx))

	refusal := requireSQLState(t, move(3), "ES012")
	require.Contains(t, refusal.Message, "is not connected to this server")
	require.Zero(t, moveIdle(3))
	require.Equal(t, int64(2), number(t, b.ctx, b.pool, `SELECT position FROM eventstream.subscription_shards`))
}

// deafNetwork is a network on which a connection can be made deaf: nothing more arrives on it, not even that it was closed.
type deafNetwork struct {
	mu    sync.Mutex
	byPID map[int64]*deafConn
}

type deafConn struct {
	net.Conn
	mu       sync.Mutex
	frozen   bool
	deadline time.Time
	wake     chan struct{}
}

func (d *deafNetwork) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &deafConn{Conn: conn, wake: make(chan struct{})}, nil
}

func (d *deafNetwork) connected(_ context.Context, conn *pgx.Conn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byPID[int64(conn.PgConn().PID())] = conn.PgConn().Conn().(*deafConn)
	return nil
}

// freeze makes the connection of a backend deaf.
func (d *deafNetwork) freeze(t testing.TB, pid int64) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.byPID[pid]
	require.NotNil(t, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}

// thaw lets everything arrive that was held back.
func (d *deafNetwork) thaw() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.byPID {
		c.mu.Lock()
		c.frozen = false
		close(c.wake)
		c.wake = make(chan struct{})
		c.mu.Unlock()
	}
}

func (c *deafConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for {
		c.mu.Lock()
		frozen, deadline, wake := c.frozen, c.deadline, c.wake
		c.mu.Unlock()
		switch {
		case !frozen:
			return n, err
		case !deadline.IsZero() && !time.Now().Before(deadline):
			return 0, os.ErrDeadlineExceeded
		}
		<-wake
	}
}

func (c *deafConn) set(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = deadline
	close(c.wake)
	c.wake = make(chan struct{})
}

func (c *deafConn) Close() error                      { c.set(time.Now()); return c.Conn.Close() }
func (c *deafConn) SetDeadline(t time.Time) error     { c.set(t); return c.Conn.SetDeadline(t) }
func (c *deafConn) SetReadDeadline(t time.Time) error { c.set(t); return c.Conn.SetReadDeadline(t) }

// A process whose member's connection hangs, while all others reach a server that does not know it, joins again: it does not wait for the
// network to notice.
func TestSubscriptionMembersConnectionHangs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := &deafNetwork{byPID: map[int64]*deafConn{}}
	p := anotherProcess(t, b, lively, func(c *pgxpool.Config) { c.ConnConfig.DialFunc, c.AfterConnect = d.dial, d.connected })
	j := newJournal()
	keepRunning(t, p, subscribe(t, p, "reader", subscription.TxHandler(j.tx), nil))
	t.Cleanup(d.thaw)
	given(t, b, "order-1", 5)
	require.Len(t, j.waitCount(t, b.ctx, 5), 5)
	pid := number(t, b.ctx, b.pool, `SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND classid::bigint >> 16 = 17741
		AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`)
	d.freeze(t, pid)
	execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend($1)`, pid)
	given(t, b, "order-2", 5)
	// The handler may be called before that: what it does for a member that the server does not know is not committed.
	awaitSQL(t, b, "10", `SELECT position::text FROM eventstream.subscription_shards`)
}

// A pool whose new connections lead elsewhere, to a database that has the same shard in the same epoch, while the member's still leads to
// the first: no event of the other one is handled before this process is a member there.
func TestSubscriptionReadsWhereItsLockIs(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	var elsewhere atomic.Bool
	p := anotherProcess(t, b, lively, func(c *pgxpool.Config) {
		c.BeforeConnect = func(_ context.Context, config *pgx.ConnConfig) error {
			if elsewhere.Load() {
				config.Database = databaseOf(other)
			}
			return nil
		}
	}, named("moves"))
	j, early := newJournal(), atomic.Int32{}
	handle := func(ctx context.Context, events []eventstream.LogEvent) error {
		for _, e := range events {
			if e.StreamID == "other-1" && number(t, ctx, other.pool, `SELECT count(*) FROM eventstream.live_members()`) == 0 {
				early.Add(1)
			}
		}
		j.add(events)
		return nil
	}
	keepRunning(t, p, subscribe(t, p, "reader", subscription.EffectHandler(handle), nil))
	given(t, b, "order-1", 5)
	require.Len(t, j.waitCount(t, b.ctx, 5), 5)
	awaitSQL(t, b, "5", `SELECT position::text FROM eventstream.subscription_shards`)

	given(t, other, "other-1", 10)
	require.NoError(t, subscribe(t, other, "reader", subscription.EffectHandler(j.effect), nil).Create(b.ctx))
	execSQL(t, b.ctx, other.pool, `UPDATE eventstream.subscription_shards SET position = 5, epoch = $1, member_id = $2`,
		number(t, b.ctx, b.pool, `SELECT epoch FROM eventstream.subscription_shards`),
		number(t, b.ctx, b.pool, `SELECT member_id FROM eventstream.subscription_shards`))
	elsewhere.Store(true)
	execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = 'moves' AND datname = current_database()`)
	require.Len(t, j.waitCount(t, b.ctx, 10), 10)
	awaitSQL(t, other, "10", `SELECT position::text FROM eventstream.subscription_shards`)
	require.Zero(t, early.Load())
}
