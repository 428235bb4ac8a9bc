package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
)

// take takes a timer as a worker does, and says how many it got.
func take(t testing.TB, ctx context.Context, tx pgx.Tx, key string) int64 { //nolint:revive // t first, as elsewhere
	t.Helper()
	return number(t, ctx, tx, `SELECT count(*) FROM eventstream.take_timers('reminders', ARRAY[$1], '{remind}')`, key)
}

func begin(t testing.TB, b *bundle) pgx.Tx {
	t.Helper()
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

func pidOf(tx pgx.Tx) uint32 { return tx.Conn().PgConn().PID() }

// Step by step: while one has a timer, another gets nothing and does not wait; if the first fails, the other gets it; if that succeeds, it is
// gone, also for who saw it before.
func TestRaceTwoTakersOfATimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, process.At(b.ctx, b.repo, reminder("a"), time.Now(), nil))
	first, second := begin(t, b), begin(t, b)
	require.EqualValues(t, 1, take(t, b.ctx, first, "a"))
	execSQL(t, b.ctx, second, `SET LOCAL lock_timeout = '2s'`) // Whoever waits fails, rather than for ever.
	require.Zero(t, take(t, b.ctx, second, "a"))
	require.NoError(t, first.Rollback(b.ctx))
	require.EqualValues(t, 1, take(t, b.ctx, second, "a"))
	require.NoError(t, second.Commit(b.ctx))
	require.Zero(t, take(t, b.ctx, begin(t, b), "a"))
}

// Who saw a timer due, and comes when it was set to a later time, was parked or was taken by a clock that was set back, gets nothing.
func TestRaceATimerIsSetAnewBeforeItIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for key, change := range map[string]string{
		"later":  `SELECT eventstream.set_timer('reminders', 'later', 'remind', p_after => '1 hour')`,
		"parked": `UPDATE eventstream.timers SET parked_at = clock_timestamp() WHERE key = 'parked'`,
		"clock":  `UPDATE eventstream.timers SET next_at = next_at + interval '1 hour' WHERE key = 'clock'`,
	} {
		require.NoError(t, process.At(b.ctx, b.repo, reminder(key), time.Now(), nil))
		require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.due_timers('reminders', '-infinity', '', '', 10) WHERE key = $1`, key))
		tx := begin(t, b)
		execSQL(t, b.ctx, b.pool, change)
		require.Zero(t, take(t, b.ctx, tx, key), key)
		require.NoError(t, tx.Rollback(b.ctx))
	}
	require.EqualValues(t, 3, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.timers`), "none is lost")
}

// While a timer is handled, who cancels it or sets it again waits. Cancelled, it has fired, or is removed after all; set again, both fire.
func TestRaceATimerIsCancelledWhileItIsHandled(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(pgx.Tx, context.Context) error{"commits": pgx.Tx.Commit, "rolls back": pgx.Tx.Rollback} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for _, key := range []string{"cancelled", "set again"} {
				require.NoError(t, process.At(b.ctx, b.repo, reminder(key), time.Now(), nil))
			}
			handler, canceller, setter := begin(t, b), begin(t, b), begin(t, b)
			require.EqualValues(t, 1, take(t, b.ctx, handler, "cancelled"))
			require.EqualValues(t, 1, take(t, b.ctx, handler, "set again"))
			cancelled := start(func() (bool, error) { return process.Cancel(b.ctx, b.repo.WithTx(canceller), reminder("cancelled")) })
			waitBlocked(t, b, pidOf(canceller), pidOf(handler))
			set := start(func() (bool, error) {
				return true, process.After(b.ctx, b.repo.WithTx(setter), reminder("set again"), time.Hour, nil)
			})
			waitBlocked(t, b, pidOf(setter), pidOf(handler))
			require.NoError(t, end(handler, b.ctx))
			got := <-cancelled
			require.NoError(t, got.err)
			require.Equal(t, name == "rolls back", got.value, "whether there was one to cancel")
			require.NoError(t, (<-set).err)
			require.NoError(t, canceller.Commit(b.ctx))
			require.NoError(t, setter.Commit(b.ctx))
			require.Equal(t, []string{"set again"}, texts(t, b, `SELECT key FROM eventstream.timers WHERE next_at > clock_timestamp()`))
			require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.timers`))
		})
	}
}

// A timer that others have in hand is passed over, however many there are, so what comes behind them fires.
func TestTimersBehindManyThatOthersHave(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.set_timer('reminders', 'held-' || n, 'remind', clock_timestamp() - interval '1 hour')
		FROM generate_series(1, 250) AS n`)
	other := begin(t, b)
	execSQL(t, b.ctx, other, `SELECT FROM eventstream.timers WHERE process = 'reminders' FOR UPDATE`)
	require.NoError(t, process.At(b.ctx, b.repo, reminder("behind"), time.Now(), nil))
	run1(t, b, newTimers(t, b, writeFired, nil))
	awaitSQL(t, b, "behind", `SELECT string_agg(key, ',') FROM public.fired`)
	require.NoError(t, other.Rollback(b.ctx))
	awaitSQL(t, b, "251", `SELECT count(*)::text FROM public.fired`)
	require.EqualValues(t, 251, number(t, b.ctx, b.pool, `SELECT count(DISTINCT key) FROM public.fired`))
}

// What is due is found by the index that holds what is still to come, which neither waiting nor parked timers make dearer.
func TestTimersDueAreLookedUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	for range 8 { // plans that are kept from when there was no timer
		execSQL(t, b.ctx, conn, `SELECT FROM eventstream.take_timers('reminders', '{a,b,c}', '{remind,remind,remind}')`)
	}
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.set_timer('reminders', 'key-' || n, 'remind', p_after => '1 day') FROM generate_series(1, 20000) AS n`)
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.timers SET next_at = clock_timestamp(), parked_at = clock_timestamp() WHERE key < 'key-5'`)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.set_timer('reminders', 'due-' || n, 'remind', clock_timestamp()) FROM generate_series(1, 3) AS n`)
	touched := func(sql string) float64 { return pagesOf(t, b, conn, sql) }
	due := `SELECT FROM eventstream.due_timers('reminders', '-infinity', '', '', 100)`
	touched(due) // makes the plan
	require.LessOrEqual(t, touched(due), 12.)
	require.LessOrEqual(t, touched(`SELECT next_at FROM eventstream.timers WHERE process = 'reminders' AND parked_at IS NULL
		ORDER BY next_at, key, name LIMIT 1`), 12.)
	taken := `SELECT FROM eventstream.take_timers('reminders', '{due-1,due-2,due-3}', '{remind,remind,remind}')`
	require.LessOrEqual(t, touched(taken), 60.)
	require.EqualValues(t, 3, number(t, b.ctx, b.pool, `SELECT 20003 - count(*) FROM eventstream.timers`))
}

// A standby fires nothing: it says that it is read-only. Promoted, it goes on with what has not fired.
func TestTimersOnAStandby(t *testing.T) {
	t.Parallel()
	primary := startPrimary(t)
	replica := startReplica(t, primary)
	withFired(t, primary.bundle)
	for _, key := range []string{"fired", "left"} {
		require.NoError(t, process.At(primary.ctx, primary.repo, reminder(key), time.Now(), nil))
	}
	tx := begin(t, primary.bundle)
	require.EqualValues(t, 1, take(t, primary.ctx, tx, "fired"))
	require.NoError(t, tx.Commit(primary.ctx))
	waitReplayed(t, primary, replica)
	timers := newTimers(t, replica.bundle, writeFired, nil)
	require.ErrorIs(t, run1(t, replica.bundle, timers).wait(t, replica.bundle), eventstream.ErrReadOnly)
	require.Len(t, readAll(t, process.List(replica.ctx, replica.repo, "reminders")), 1)
	promote(t, replica)
	run1(t, replica.bundle, timers)
	awaitSQL(t, replica.bundle, "left", `SELECT string_agg(key, ',') FROM public.fired`)
	requireFiredOnce(t, replica.bundle, "left")
}
