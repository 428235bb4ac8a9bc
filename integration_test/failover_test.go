package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// failoverTimeout bounds one round: a replica is made in it, and two servers start and stop.
const failoverTimeout = 2 * time.Minute

// failovers is how many rounds TestFailoverUnderLiveProcesses goes.
func failovers() int {
	if longForm() {
		return 10
	}
	return 2
}

// route is the name under which processes know their database: a failover lets it lead to another server.
type route struct{ address atomic.Pointer[string] }

func (r *route) leadTo(c *cluster) {
	config := c.pool.Config().ConnConfig
	address := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	r.address.Store(&address)
}

func (r *route) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, *r.address.Load())
}

// follower reads the log in a loop, and holds what it has read. It begins after the last event that it read, and goes back where that is
// no longer there.
type follower struct {
	mu   sync.Mutex
	read []eventstream.LogEvent
}

func (f *follower) follow(ctx context.Context, repo *eventstream.Repository) {
	for ctx.Err() == nil {
		opts := eventstream.LogOptions{}
		f.mu.Lock()
		if n := len(f.read); n > 0 {
			opts.From = eventstream.After(f.read[n-1])
		}
		f.mu.Unlock()
		for e, err := range repo.ReadLog(ctx, opts) {
			f.mu.Lock()
			var beyond *eventstream.BeyondLogError
			switch {
			case errors.As(err, &beyond):
				f.read = f.read[:len(f.read)/2]
			case err == nil:
				f.read = append(f.read, e)
			}
			f.mu.Unlock()
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (f *follower) ids() []uuid.UUID {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := make([]uuid.UUID, len(f.read))
	for i := range f.read {
		ids[i] = f.read[i].ID
	}
	return ids
}

// effects are what handlers did elsewhere: it stays, whatever becomes of the database.
type effects struct {
	mu   sync.Mutex
	done map[uuid.UUID]bool
}

func (e *effects) handle(_ context.Context, events []eventstream.LogEvent) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range events {
		e.done[events[i].ID] = true
	}
	return nil
}

func (e *effects) async(ctx context.Context, events []eventstream.LogEvent, ack func(error)) {
	go ack(e.handle(ctx, events))
}

func (e *effects) missing(ids []uuid.UUID) (count int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		if !e.done[id] {
			count++
		}
	}
	return count
}

// committedIDs are the events of a database, in order of the log.
func committedIDs(t testing.TB, ctx context.Context, c *cluster) []uuid.UUID { //nolint:revive // t first, as elsewhere
	t.Helper()
	rows, err := c.pool.Query(ctx, `SELECT event_id FROM eventstream.events ORDER BY position`)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	return ids
}

// cutOff lets a replica fall behind: what is committed on the primary from now on never arrives.
func cutOff(t testing.TB, replica *cluster) {
	t.Helper()
	execSQL(t, replica.ctx, replica.pool, `ALTER SYSTEM SET primary_conninfo = ''`)
	execSQL(t, replica.ctx, replica.pool, `SELECT pg_reload_conf()`)
	awaitSQL(t, replica.bundle, "0", `SELECT count(*)::text FROM pg_catalog.pg_stat_wal_receiver`)
}

// Processes live through failovers to a standby that lacks the last events, again and again: everything that the surviving server holds is
// handled by each kind of handler, and read by a loop that follows the log; nothing else is in any table.
func TestFailoverUnderLiveProcesses(t *testing.T) {
	t.Parallel()
	primary := startPrimary(t)
	withHandled(t, primary.bundle)
	rounds := failovers()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rounds)*failoverTimeout)
	t.Cleanup(cancel)

	way := &route{}
	way.leadTo(primary)
	live := anotherProcess(t, &bundle{ctx: ctx, dsn: primary.dsn}, lively, withMaxConns(12), func(c *pgxpool.Config) { c.ConnConfig.DialFunc = way.dial })
	effect, async, loop := &effects{done: map[uuid.UUID]bool{}}, &effects{done: map[uuid.UUID]bool{}}, &follower{}
	keepRunning(t, live, subscribe(t, live, "tx", handlerKinds["tx"](live, nil), quick(subscription.Stop)))
	keepRunning(t, live, subscribe(t, live, "effect", subscription.EffectHandler(effect.handle), &subscription.Config{Shards: 4}))
	keepRunning(t, live, subscribe(t, live, "async", subscription.AsyncHandler(async.async), quick(subscription.Stop)))
	keepRunning(t, live, projector(t, live, counts(&subscription.Config{Shards: 2})))
	followed := make(chan struct{})
	following, stop := context.WithCancel(ctx)
	go func() { defer close(followed); loop.follow(following, live.repo) }()
	t.Cleanup(func() { stop(); <-followed })

	for round := range rounds {
		primary = failover(t, primary, way, round)
		primary.ctx = ctx
		requireSurvived(t, ctx, primary, effect, async, loop)
	}
}

// failover is one round: events that the replica gets, others that it lacks and that all have seen, and the replica takes over. In every
// second round it has grown past what was seen before anybody comes back.
func failover(t *testing.T, primary *cluster, way *route, round int) *cluster {
	t.Helper()
	stream := func(what string, n int) eventstream.StreamID {
		return eventstream.StreamID(fmt.Sprintf("%s-%d-%d", what, round, n))
	}
	replica := startReplica(t, primary)
	for n := range 5 {
		given(t, primary.bundle, stream("kept", n), 10)
	}
	waitReplayed(t, primary, replica)
	cutOff(t, replica)
	for n := range 10 {
		given(t, primary.bundle, stream("lost", n), 10)
	}
	awaitSQL(t, primary.bundle, "true", `SELECT bool_and(position = eventstream.last_position())::text FROM eventstream.subscription_shards`)
	require.NoError(t, primary.server.Stop())
	promote(t, replica)
	after := func() {
		for n := range 30 {
			given(t, replica.bundle, stream("after", n), 10)
		}
	}
	if round%2 == 0 {
		way.leadTo(replica)
		after()
	} else {
		after()
		way.leadTo(replica)
	}
	return replica
}

func requireSurvived(t *testing.T, ctx context.Context, survivor *cluster, effect, async *effects, loop *follower) { //nolint:revive // t first
	t.Helper()
	awaitSQL(t, survivor.bundle, "true", `SELECT bool_and(position = eventstream.last_position())::text FROM eventstream.subscription_shards`)
	requireHandledOnce(t, survivor.bundle)
	requireCounted(t, survivor.bundle, "counts.streams")
	want := committedIDs(t, ctx, survivor)
	require.Zero(t, effect.missing(want), "effects")
	require.Zero(t, async.missing(want), "asynchronous effects")
	waitFor(t, func() bool { return len(loop.ids()) == len(want) }, func() string {
		return fmt.Sprintf("the loop has read %d of %d", len(loop.ids()), len(want))
	})
	require.Equal(t, want, loop.ids())
	keep(t, survivor.bundle)
	requireAuditClean(t, survivor.bundle)
	t.Logf("%d events survived", len(want))
}
