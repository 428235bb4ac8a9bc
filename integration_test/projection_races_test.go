package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// pausing stops a process before a statement: its n-th, or the first one that holds a text, with after on a connection that has come to a
// statement with that. paused is closed when it is there, and it goes on once resume is closed.
type pausing struct {
	at     int
	text   string
	after  string
	paused chan struct{}
	resume chan struct{}

	mu   sync.Mutex
	seen []string
	conn *pgx.Conn // that has come to after
}

func pauseBefore(at int, text string) *pausing {
	return &pausing{at: at, text: text, paused: make(chan struct{}), resume: make(chan struct{})}
}

// pauseNext makes it stop before the next statement that holds a text.
func (p *pausing) pauseNext(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

func (p *pausing) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	p.mu.Lock()
	p.seen = append(p.seen, data.SQL)
	pause := len(p.seen) == p.at || p.text != "" && strings.Contains(data.SQL, p.text) && (p.after == "" || p.conn == conn)
	if p.after != "" && strings.Contains(data.SQL, p.after) {
		p.conn = conn
	}
	if pause {
		p.at, p.text = 0, ""
		close(p.paused)
	}
	p.mu.Unlock()
	if pause {
		<-p.resume
	}
	return ctx
}

func (p *pausing) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// next is the statement that it stopped before.
func (p *pausing) next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(strings.Fields(p.seen[len(p.seen)-1]), " ")
}

// reached says whether it has come to a statement with a text.
func (p *pausing) reached(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.seen, func(sql string) bool { return strings.Contains(sql, text) })
}

// count says how many statements with a text it has come to.
func (p *pausing) count(text string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sql := range p.seen {
		if strings.Contains(sql, text) {
			n++
		}
	}
	return n
}

// await waits until it stops, and fails the test if what was to stop has ended instead.
func (p *pausing) await(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case <-p.paused:
	case err := <-ended:
		t.Fatalf("ended before it came to the statement: %v", err)
	case <-time.After(blockTimeout):
		t.Fatal("did not come to the statement")
	}
}

func tracedBy(p *pausing) bundleOption { return tracedWith(p) }

func tracedWith(tracer pgx.QueryTracer) bundleOption {
	return func(c *pgxpool.Config) { c.ConnConfig.Tracer = tracer }
}

// setupPatient is setup for tests that rebuild dozens of times, on a busy machine too.
func setupPatient(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*testTimeout)
	t.Cleanup(cancel)
	b.ctx = ctx
	return b
}

// inBackground does something, and gives its error.
func inBackground(do func() error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	return ended
}

// lastPrepared is in the last statement before events are read: from there on a rebuild is under way.
const lastPrepared = "eventstream.subscribe("

// Steps, for each statement of a rebuild's preparation: a process stops before it; another one rebuilds too; the first goes on. Either the
// second one is told that a rebuild runs, or it was first, and did all of it. In the end every event is counted once.
func TestProjectionTwoRebuildsAtEveryStatement(t *testing.T) {
	t.Parallel()
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprintf("in place %v", inPlace), func(t *testing.T) {
			t.Parallel()
			b := setupPatient(t)
			given(t, b, "order-1", 50)
			opts := &subscription.RebuildOptions{InPlace: inPlace}
			caughtUp(t, b, projector(t, b, counts(nil)))
			refused, done := 0, false
			for n := 1; !done; n++ {
				at := pauseBefore(n, "")
				a := anotherProcess(t, b, nil, tracedBy(at))
				first := inBackground(func() error { return projector(t, a, counts(nil)).Rebuild(b.ctx, opts) })
				at.await(t, first)
				next := at.next()
				done = at.reached(lastPrepared)

				other := anotherProcess(t, b, nil)
				err := projector(t, other, counts(nil)).Rebuild(b.ctx, opts)
				if err != nil {
					require.ErrorIs(t, err, subscription.ErrRebuildRunning, next)
					refused++
				}
				close(at.resume)
				require.NoError(t, <-first, next)
				requireCounted(t, b, "counts.streams")
				requireNoRow(t, b, `SELECT name FROM eventstream.subscriptions WHERE rebuilds IS NOT NULL
					UNION ALL SELECT nspname FROM pg_namespace WHERE nspname ~ '^_counts_'`)
				a.pool.Close()
				other.pool.Close()
			}
			require.Greater(t, refused, 12, "one for each statement after the lock")
		})
	}
}

// Steps, for each statement of a rebuild's preparation, of a projection that nobody has created: a process stops before it; another one
// creates the projection, or waits for the first to; the first goes on. Both come to an end, and every event is counted once.
func TestProjectionRebuildAndCreateAtEveryStatement(t *testing.T) {
	t.Parallel()
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprintf("in place %v", inPlace), func(t *testing.T) {
			t.Parallel()
			b := setupPatient(t)
			given(t, b, "order-1", 50)
			done := false
			for n := 1; !done; n++ {
				projection := countsIn(fmt.Sprintf("counts%d", n), nil)
				at := pauseBefore(n, "")
				a := anotherProcess(t, b, nil, tracedBy(at))
				first := inBackground(func() error {
					return projector(t, a, projection).Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: inPlace})
				})
				at.await(t, first)
				next := at.next()
				done = at.reached(lastPrepared)

				other := anotherProcess(t, b, nil)
				p := projector(t, other, countsIn(projection.Name, nil))
				created := inBackground(func() error { return p.Create(b.ctx) })
				endsOrIsBlocked(t, b, created)
				close(at.resume)
				require.NoError(t, <-first, next)
				require.NoError(t, <-created, next)
				requireCounted(t, b, projection.Name+".streams")
				caughtUp(t, other, p)
				requireCounted(t, b, projection.Name+".streams")
				a.pool.Close()
				other.pool.Close()
			}
		})
	}
}

// endsOrIsBlocked waits until something in the background has ended, or waits for a lock.
func endsOrIsBlocked(t *testing.T, b *bundle, ended <-chan error) {
	t.Helper()
	require.Eventually(t, func() bool {
		return len(ended) == 1 || number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`) > 0
	}, blockTimeout, time.Millisecond)
}

// Steps: a rebuild stops right before it switches; its lock is lost with its connection; another rebuild begins and ends; the first goes on.
// It must not put its tables, or its checkpoint, in place of those of the other.
func TestProjectionRebuildThatLostItsLockChangesNothing(t *testing.T) {
	t.Parallel()
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprintf("in place %v", inPlace), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 50)
			caughtUp(t, b, projector(t, b, counts(nil)))
			opts := &subscription.RebuildOptions{InPlace: inPlace}
			at := pauseBefore(0, "hold_projection")
			a := anotherProcess(t, b, nil, tracedBy(at), withMaxConns(16))
			first := inBackground(func() error { return projector(t, a, counts(nil)).Rebuild(b.ctx, opts) })
			at.await(t, first)
			killRebuildLock(t, b)
			require.Eventually(t, func() bool {
				other := anotherProcess(t, b, nil)
				err := projector(t, other, counts(nil)).Rebuild(b.ctx, opts)
				if errors.Is(err, subscription.ErrRebuildRunning) {
					return false // the server has not noticed yet
				}
				require.NoError(t, err)
				return true
			}, blockTimeout, 10*time.Millisecond)
			given(t, b, "order-2", 50)
			caughtUp(t, b, projector(t, anotherProcess(t, b, nil), counts(nil)))
			close(at.resume)
			err := <-first
			require.ErrorContains(t, err, "lock of the rebuild was lost")
			require.ErrorContains(t, err, "rebuild it again")
			requireCounted(t, b, "counts.streams")
			requireNoRow(t, b, `SELECT name FROM eventstream.subscriptions WHERE rebuilds IS NOT NULL`)
		})
	}
}

func killRebuildLock(t *testing.T, b *bundle) {
	t.Helper()
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(pg_terminate_backend(pid)) FROM pg_locks
		WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = eventstream.rebuild_key('counts')
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`))
}

// Steps: a rebuild beside comes level and stops within its switch; the schema that it has filled is dropped by hand before that, or taken away.
// It says so, and the live tables stay.
func TestProjectionRebuildWhoseTablesAreTakenAway(t *testing.T) {
	t.Parallel()
	for _, taken := range []string{
		`DROP SCHEMA _counts_rebuild CASCADE`,
		`ALTER SCHEMA _counts_rebuild RENAME TO mine`,
		`COMMENT ON SCHEMA _counts_rebuild IS 'mine'`,
		`COMMENT ON SCHEMA counts IS 'mine'`,
		`SELECT eventstream.delete_subscription(name) FROM eventstream.subscriptions WHERE rebuilds = 'counts'`,
	} {
		b := setup(t)
		given(t, b, "order-1", 50)
		caughtUp(t, b, projector(t, b, counts(nil)))
		at := pauseBefore(0, "hold_projection")
		a := anotherProcess(t, b, nil, tracedBy(at), withMaxConns(16))
		first := inBackground(func() error { return projector(t, a, counts(nil)).Rebuild(b.ctx, nil) })
		at.await(t, first)
		execSQL(t, b.ctx, b.pool, taken)
		close(at.resume)
		err := <-first
		require.Error(t, err, taken)
		require.True(t, errors.Is(err, subscription.ErrProjectionMismatch) || errors.Is(err, subscription.ErrNotFound), "%s: %v", taken, err)
		requireCounted(t, b, "counts.streams")
	}
}

// Steps: a rebuild whose handlers may be idle for 30 ms is about to switch; the live projection handles one event more, and the new tables
// cannot yet. The switch looks again and again whether they have come level, the later the rarer; the server does not end it for that.
func TestProjectionRebuildWaitsForLongerThanHandlersMay(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	given(t, b, "order-1", 50)
	live := projector(t, b, counts(nil))
	keepRunning(t, b, live)
	require.NoError(t, live.WaitFor(b.ctx, drawn(t, b)))

	slow := counts(&subscription.Config{IdleTimeout: 30 * time.Millisecond})
	apply := slow.Apply
	slow.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(1)`); err != nil {
			return err
		}
		return apply(ctx, tx, schema, events)
	}
	at := pauseBefore(0, "hold_projection")
	a := anotherProcess(t, b, nil, tracedBy(at), withMaxConns(16))
	rebuilding := inBackground(func() error { return projector(t, a, slow).Rebuild(b.ctx, nil) })
	at.await(t, rebuilding)
	const look = "name: SubscriptionCheckpoint"
	before, holder := at.count(look), session(t, b)
	execSQL(t, b.ctx, holder, `SELECT pg_advisory_lock(1)`)
	given(t, b, "order-2", 1)
	require.NoError(t, live.WaitFor(b.ctx, drawn(t, b)))
	close(at.resume)
	for at.count(look) < before+8 { // the last two pauses are of 50 ms
		select {
		case err := <-rebuilding:
			t.Fatalf("ended before the new tables were level: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	execSQL(t, b.ctx, holder, `SELECT pg_advisory_unlock(1)`)
	require.NoError(t, <-rebuilding)
	require.NoError(t, live.WaitFor(b.ctx, drawn(t, b)))
	requireCounted(t, b, "counts.streams")
}

// Steps: somebody reads the live tables in a transaction that stays open; a rebuild switches, and waits for the reader to drop the old tables;
// its context ends. It says that the new ones are live, and the next rebuild drops the old ones.
func TestProjectionRebuildWhoseOldTablesAreRead(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	given(t, b, "order-1", 50)
	p := projector(t, b, counts(nil))
	caughtUp(t, b, p)
	reader, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	require.Equal(t, int64(50), number(t, b.ctx, reader, `SELECT events FROM counts.streams`))
	ctx, cancel := context.WithCancel(b.ctx)
	rebuilding := inBackground(func() error { return p.Rebuild(ctx, nil) })
	require.Eventually(t, func() bool {
		return number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DROP SCHEMA%' AND wait_event_type = 'Lock'
			AND datname = current_database()`) > 0
	}, blockTimeout, time.Millisecond)
	requireCounted(t, b, "counts.streams")
	cancel()
	err = <-rebuilding
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "its new tables are live")
	require.NoError(t, reader.Rollback(b.ctx))
	require.NoError(t, p.Rebuild(b.ctx, nil))
	requireCounted(t, b, "counts.streams")
	requireNoRow(t, b, `SELECT nspname FROM pg_namespace WHERE nspname ~ '^_counts'`)
}

// A rebuild holds nothing that others wait for: neither what is dead in the database, nor readers of the log.
func TestProjectionRebuildLockHoldsNothingBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 50)
	at := pauseBefore(0, lastPrepared)
	a := anotherProcess(t, b, nil, tracedBy(at))
	first := inBackground(func() error { return projector(t, a, counts(nil)).Rebuild(b.ctx, nil) })
	at.await(t, first)
	requireNoRow(t, b, `SELECT a.pid, a.state, a.backend_xmin::text, a.query FROM pg_locks AS k JOIN pg_stat_activity AS a ON a.pid = k.pid
		WHERE k.locktype = 'advisory' AND k.objsubid = 1 AND (k.classid::bigint << 32 | k.objid::bigint) = eventstream.rebuild_key('counts')
			AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)`)
	given(t, b, "order-2", 50)
	require.Equal(t, drawn(t, b), number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`))
	close(at.resume)
	require.NoError(t, <-first)
	// No name gives a key that looks like that of a writer or a member.
	require.Equal(t, int64(17746), number(t, b.ctx, b.pool, `
		SELECT CASE WHEN count(DISTINCT eventstream.rebuild_key('p' || n) >> 48) = 1 THEN min(eventstream.rebuild_key('p' || n) >> 48) END
		FROM generate_series(1, 10000) AS n`))
}

// Four processes rebuild and run under writers, in a loop: of the rebuilds at a time one goes through, the others are told so, and nothing is
// lost or counted twice.
func TestHammerProjectionRebuilds(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	for i := range 20 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("old-%d", i)), 20)
	}
	p := projector(t, b, counts(nil))
	keepRunning(t, b, p)
	last := keepAppending(t, b, 2)
	var group errgroup.Group
	for i := range 4 {
		other := anotherProcess(t, b, nil)
		group.Go(func() error {
			for round := 0; round < 3; {
				err := projector(t, other, counts(nil)).Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: (i+round)%2 == 1})
				if err == nil || errors.Is(err, subscription.ErrRebuildRunning) {
					round++
					continue
				}
				return err
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, p.WaitFor(b.ctx, last()))
	requireCounted(t, b, "counts.streams")
	requireAuditClean(t, b)
}
