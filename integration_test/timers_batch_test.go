package integration_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
)

// runBatches runs timers that have fired one, so that they know that their handler is quick, and then sets more that are all due at once.
func runBatches(t *testing.T, b *bundle, handle process.TimerHandler, config *process.TimersConfig, keys ...string) *running {
	t.Helper()
	run := run1(t, b, newTimers(t, b, handle, config))
	require.NoError(t, process.At(b.ctx, b.repo, reminder("warm"), time.Now(), nil))
	awaitSQL(t, b, "warm", `SELECT string_agg(key, ',') FROM public.fired`)
	setTimers(t, b, keys...)
	return run
}

// setTimers sets timers that are due at once, in one transaction.
func setTimers(t *testing.T, b *bundle, keys ...string) {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.set_timer('reminders', k, 'remind', clock_timestamp()) FROM unnest($1::text[]) AS k`, keys)
}

func keysTo(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("key-%03d", i))
	}
	return keys
}

// Timers that are due together share transactions, and each fires once.
func TestTimersShareTransactions(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	config := quickTimers(t)
	config.Workers = 2
	runBatches(t, b, writeFired, config, keysTo(400)...)
	awaitSQL(t, b, "401", `SELECT count(*)::text FROM public.fired`)
	requireFiredOnce(t, b, append(keysTo(400), "warm")...)
	transactions := number(t, b.ctx, b.pool, `SELECT count(DISTINCT xmin::text) FROM public.fired`)
	t.Logf("401 timers in %d transactions", transactions)
	require.Less(t, transactions, int64(300))
}

// A handler that fails on one timer of a batch takes none of the others along: each gets a transaction of its own, and the one that has failed
// keeps it.
func TestTimersOfABatchThatFails(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	var mu sync.Mutex
	calls := map[string]int{}
	config := quickTimers(t)
	config.Workers = 1
	var failures atomic.Int64
	config.OnError = func(error) { failures.Add(1) }
	runBatches(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		mu.Lock()
		calls[timer.Key]++
		mu.Unlock()
		if timer.Key == "key-005" {
			return errPoison
		}
		return writeFired(ctx, tx, timer)
	}, config, keysTo(10)...)
	awaitSQL(t, b, "key-005 3", `SELECT string_agg(key || ' ' || tries, ',') FROM eventstream.timers WHERE parked_at IS NOT NULL`)
	waitFor(t, func() bool { return failures.Load() >= 3 }, func() string { return "not all failures are told" })
	require.EqualValues(t, 10, number(t, b.ctx, b.pool, `SELECT count(DISTINCT key) FROM public.fired`))
	require.EqualValues(t, 10, number(t, b.ctx, b.pool, `SELECT count(*) FROM public.fired`))
	require.EqualValues(t, 3, failures.Load())
	mu.Lock()
	defer mu.Unlock()
	for key, n := range calls {
		require.LessOrEqual(t, n, map[bool]int{true: 4, false: 2}[key == "key-005"], key)
	}
}

// Of two timers of one key, the first may cancel the other: they never share a transaction, in which both would be taken by then.
func TestTimersOfOneKeyDoNotShareATransaction(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	config := quickTimers(t)
	config.Workers = 1
	runBatches(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if _, err := process.CancelAll(ctx, b.repo.WithTx(tx), "reminders", timer.Key); err != nil {
			return err
		}
		return writeFired(ctx, tx, timer)
	}, config)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.set_timer('reminders', k, n, clock_timestamp())
		FROM unnest($1::text[]) AS k CROSS JOIN unnest('{first,second}'::text[]) AS n`, keysTo(20))
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM eventstream.timers`)
	requireFiredOnce(t, b, append(keysTo(20), "warm")...)
}

// Where the handler takes its time, a transaction is for one timer: what it has appended must not hold back the log.
func TestTimersOfASlowHandlerDoNotShareTransactions(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	config := quickTimers(t)
	config.Workers = 1
	run1(t, b, newTimers(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if _, err := tx.Exec(ctx, `SELECT pg_catalog.pg_sleep(0.15)`); err != nil {
			return err
		}
		return writeFired(ctx, tx, timer)
	}, config))
	setTimers(t, b, keysTo(4)...)
	awaitSQL(t, b, "4", `SELECT count(*)::text FROM public.fired`)
	require.EqualValues(t, 4, number(t, b.ctx, b.pool, `SELECT count(DISTINCT xmin::text) FROM public.fired`))
}

// A handler that ends the transaction of a batch ends Run before another one is called, which would have none.
func TestTimersHandlerThatEndsTheTransactionOfABatch(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	config := quickTimers(t)
	config.Workers = 1
	var calls atomic.Int64
	run := runBatches(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if err := writeFired(ctx, tx, timer); err != nil || timer.Key == "warm" {
			return err
		}
		calls.Add(1)
		_, err := tx.Exec(ctx, "COMMIT")
		return err
	}, config, keysTo(5)...)
	require.ErrorIs(t, run.wait(t, b), eventstream.ErrTxEnded)
	require.EqualValues(t, 1, calls.Load())
}

// A handler that hangs keeps one timer and one worker: the rest of its batch goes to another worker once the server has ended the transaction.
func TestTimersOfABatchThatHangs(t *testing.T) {
	t.Parallel()
	requireOthersFire(t, "key-003", writeFired)
}

// The same where the batch was late before: by the time that its handler hangs, all of it looks as if it were anybody's.
func TestTimersOfALateBatchThatHangs(t *testing.T) {
	t.Parallel()
	var late atomic.Bool
	requireOthersFire(t, "key-001", func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if timer.Key == "key-000" && !late.Swap(true) {
			if _, err := tx.Exec(ctx, `SELECT pg_catalog.pg_sleep(0.5)`); err != nil {
				return err
			}
		}
		return writeFired(ctx, tx, timer)
	})
}

// requireOthersFire demands that of eight timers, which two workers handle, all fire but the one whose handler hangs.
func requireOthersFire(t *testing.T, hangs string, handle process.TimerHandler) {
	t.Helper()
	b := withFired(t, setup(t))
	release := make(chan struct{})
	config := quickTimers(t)
	config.Workers, config.IdleTimeout = 2, 300*time.Millisecond
	runBatches(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if timer.Key == hangs {
			<-release
		}
		return handle(ctx, tx, timer)
	}, config, keysTo(8)...)
	defer close(release)
	awaitSQL(t, b, "8", `SELECT count(*)::text FROM public.fired`)
	require.Equal(t, []string{hangs}, texts(t, b, `SELECT key FROM eventstream.timers`))
}

// A batch is made before there is a worker for it. By the time that there is one, the handler of another worker may hang at a timer of it, whose
// transaction the server has ended: it is not called for that one again, to hang there too. How large batches are is for the machine to say, so
// calls are told apart by their order alone.
func TestTimersOfABatchThatHasWaitedForAWorker(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	var calls, twice atomic.Int64
	var hung atomic.Value
	held := map[int64]context.Context{}
	release := map[int64]context.CancelFunc{}
	for _, call := range []int64{1, 2, 4, 5} {
		held[call], release[call] = context.WithCancel(context.Background())
		defer release[call]()
	}
	config := quickTimers(t)
	config.Workers, config.IdleTimeout = 2, 300*time.Millisecond
	runBatches(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if timer.Key == "warm" {
			return writeFired(ctx, tx, timer)
		}
		call := calls.Add(1)
		if hung.Load() == timer.Key {
			twice.Add(1)
			return errPoison
		}
		if call == 5 {
			hung.Store(timer.Key)
		}
		if gate := held[call]; gate != nil {
			<-gate.Done()
		}
		return writeFired(ctx, tx, timer)
	}, config, keysTo(8)...)
	// The call has come, and the server has ended its transaction, with what that had in hand.
	awaitCall := func(call int64) {
		waitFor(t, func() bool { return calls.Load() >= call }, func() string { return fmt.Sprint(calls.Load(), " calls") })
		awaitSQL(t, b, "0", `SELECT count(*)::text FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'`)
	}
	awaitCall(2) // each worker is at a timer, and what they do not get to is made into batches that wait
	release[1]()
	awaitCall(4) // the first worker has done its first timer by itself, and is at another one
	release[4]()
	awaitCall(5)
	release[2]()
	awaitSQL(t, b, "8", `SELECT count(*)::text FROM public.fired`)
	require.Zero(t, twice.Load(), "calls for a timer at which the handler hangs")
	require.Equal(t, []string{hung.Load().(string)}, texts(t, b, `SELECT key FROM eventstream.timers`))
}
