package integration_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream/process"
)

// reminder names the timers of tests.
func reminder(key string) process.TimerRef {
	return process.TimerRef{Process: "reminders", Key: key, Name: "remind"}
}

// withFired makes the table that handlers of timers write to: it takes the same timer twice, so that a test can see it.
func withFired(t testing.TB, b *bundle) *bundle {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `CREATE TABLE public.fired (
		id bigint GENERATED ALWAYS AS IDENTITY, key text NOT NULL, timer_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())`)
	return b
}

func writeFired(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
	_, err := tx.Exec(ctx, `INSERT INTO public.fired (key, timer_id) VALUES ($1, $2)`, timer.Key, timer.ID)
	return err
}

// quickTimers is a config whose pauses are short, and that tells a test of failures.
func quickTimers(t testing.TB) *process.TimersConfig {
	t.Helper()
	return &process.TimersConfig{
		PollInterval: 20 * time.Millisecond, MaxTries: 3, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
		OnError: logFailures(t),
	}
}

// logFailures writes to the log of a test as long as that runs.
func logFailures(t testing.TB) func(error) {
	var mu sync.Mutex
	over := false
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	})
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			t.Log("timers:", err)
		}
	}
}

func newTimers(t testing.TB, b *bundle, handle process.TimerHandler, config *process.TimersConfig) *process.Timers {
	t.Helper()
	if config == nil {
		config = quickTimers(t)
	}
	timers, err := process.NewTimers(b.repo, "reminders", handle, config)
	require.NoError(t, err)
	return timers
}

// requireFiredOnce demands that these keys fired, each once, and nothing else, and that nothing is left.
func requireFiredOnce(t testing.TB, b *bundle, keys ...string) {
	t.Helper()
	require.ElementsMatch(t, keys, texts(t, b, `SELECT key FROM public.fired`))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.timers`), "timers that are left")
}

// shiftClock is what setting the database's clock forward by d does to timers: all are due so much earlier. A negative one sets it back.
func shiftClock(t testing.TB, b *bundle, d time.Duration) {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.timers SET next_at = next_at - $1::interval, due_at = due_at - $1::interval`, d)
}
