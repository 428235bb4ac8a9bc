package integration_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Anybody may take an advisory lock, also exclusively one of the keys that writers of events say their positions with. That must not make a
// writer go without its own: a reader would pass over its events.

// keysHeld takes in-flight keys exclusively, in a session of a stranger's.
func keysHeld(t *testing.T, b *bundle, from, to int64) *pgx.Conn {
	t.Helper()
	stranger := session(t, b)
	execSQL(t, b.ctx, stranger, `SELECT pg_advisory_lock(eventstream.in_flight_key(k)) FROM generate_series($1::bigint, $2::bigint) AS k`, from, to)
	return stranger
}

// keysOf is the in-flight keys that the transaction of an actor holds.
func keysOf(t *testing.T, b *bundle, a *actor) []string {
	t.Helper()
	return texts(t, b, `SELECT k.objid::text FROM pg_locks AS k
		WHERE k.locktype = 'advisory' AND k.classid::bigint = 17747::bigint << 16 AND k.objsubid = 1 AND k.pid = $1 ORDER BY 1`, int64(a.pid()))
}

// Steps: a stranger holds the key of now. A writes an event and is not over; B writes one and commits; a reader polls; A commits.
func TestStableAStrangersExclusiveLockCostsReadersNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to int64
		key      string
		rule     bool
	}{
		"ItsKey":                {10, 10, "9", true},
		"EightKeys":             {3, 10, "2", true},
		"WithoutTheRuleItLoses": {10, 10, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "before-1", 10)
			if !c.rule {
				rewrite(t, b, "eventstream.events_in_flight()", "v_key := v_key - 1;", "EXIT;")
			}
			stranger := keysHeld(t, b, c.from, c.to)
			a := newActor(t, b)
			execSQL(t, b.ctx, a.tx, rawInsert, "held-1", 1)
			if c.rule {
				require.Equal(t, []string{c.key}, keysOf(t, b, a))
			}
			p := &passer{conn: session(t, b), passed: 10}
			execSQL(t, b.ctx, stranger, `SELECT pg_advisory_unlock_all()`)
			given(t, b, "later-1", 1)
			_, err := p.poll(b.ctx, p.conn)
			require.NoError(t, err)
			a.end(t, b, true)
			_, err = p.poll(b.ctx, p.conn)
			require.NoError(t, err)
			require.Equal(t, drawn(t, b), p.passed)
			if c.rule {
				require.Equal(t, []string{"held-1", "later-1"}, p.got)
			} else {
				require.Equal(t, []string{"later-1"}, p.got)
			}
		})
	}
}

// All keys that a writer would take are held: it waits, however it writes, and draws nothing meanwhile.
func TestStableAWriterWithoutAnyKeyWaits(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]int{"ManyEvents": 20, "FewEvents": 3, "NoEvents": 0} {
		for way, write := range heldWrites {
			if strings.Contains(way, "FailedSavepoint") {
				continue // draws more than one
			}
			t.Run(name+way, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				if before > 0 {
					given(t, b, "before-1", before)
				}
				stranger := keysHeld(t, b, max(int64(before)-8, 0), int64(before))
				a := newActor(t, b)
				waiting := start(func() (any, error) { return nil, write(b.ctx, a, "held-1", anEvent(t, 1)) })
				waitBlocked(t, b, a.pid(), stranger.PgConn().PID())
				require.EqualValues(t, before, drawn(t, b), "lock first, draw second")
				execSQL(t, b.ctx, stranger, `SELECT pg_advisory_unlock_all()`)
				require.NoError(t, (<-waiting).err)
				require.Len(t, keysOf(t, b, a), 1)
				require.EqualValues(t, max(int64(before)-8, 0), number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`))
				a.end(t, b, true)
				require.EqualValues(t, before+1, number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`))
				requireAuditClean(t, b)
			})
		}
	}
}

// A transaction takes one key and keeps it, whatever it writes, and takes it again after a savepoint that took it is rolled back.
func TestStableOneKeyATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "before-1", 5)
	a := newActor(t, b)
	for n := range 3 {
		_, err := a.repo.Append(b.ctx, "order-1", eventstream.Exact(int64(n)), anEvent(t, 1))
		require.NoError(t, err)
		require.Equal(t, []string{"5"}, keysOf(t, b, a))
		given(t, b, eventstream.StreamID([]string{"x-1", "x-2", "x-3"}[n]), 1)
	}
	a.end(t, b, true)

	a = newActor(t, b)
	inner, err := a.tx.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, inner, rawInsert, "order-2", 1)
	require.Equal(t, []string{"11"}, keysOf(t, b, a))
	require.NoError(t, inner.Rollback(b.ctx))
	require.Empty(t, keysOf(t, b, a))
	execSQL(t, b.ctx, a.tx, rawInsert, "order-2", 1)
	require.Equal(t, []string{"12"}, keysOf(t, b, a))
	a.end(t, b, true)
	requireAuditClean(t, b)
}
