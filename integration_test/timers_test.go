package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// A timer is handled once it is due and not before, with what it was set with, and is gone then.
func TestTimersFireWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	got := make(chan process.Timer, 10)
	timers := newTimers(t, b, func(_ context.Context, _ pgx.Tx, timer process.Timer) error {
		got <- timer
		return nil
	}, nil)
	require.NoError(t, process.At(b.ctx, b.repo, reminder("late"), time.Now().Add(time.Hour), nil))
	require.NoError(t, process.At(b.ctx, b.repo, reminder("past"), time.Now().Add(-time.Hour), nil))
	run1(t, b, timers)
	past := <-got
	require.NoError(t, process.After(b.ctx, b.repo, reminder("soon"), 50*time.Millisecond, map[string]int{"n": 7}))
	soon := <-got
	require.Equal(t, reminder("past"), past.TimerRef)
	require.Equal(t, "null", string(past.Payload))
	require.Equal(t, reminder("soon"), soon.TimerRef)
	require.NotEqual(t, uuid.Nil, soon.ID)
	require.Equal(t, 50*time.Millisecond, soon.DueAt.Sub(soon.SetAt))
	require.False(t, soon.FiredAt.Before(soon.DueAt), "fired at %s, due at %s", soon.FiredAt, soon.DueAt)
	payload, err := process.DecodeTimer[map[string]int](soon)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"n": 7}, payload)

	awaitSQL(t, b, "late", `SELECT string_agg(key, ',') FROM eventstream.timers`)
	waiting := readAll(t, process.List(b.ctx, b.repo, "reminders"))
	require.Len(t, waiting, 1)
	require.Equal(t, reminder("late"), waiting[0].TimerRef)
	require.Empty(t, got)
}

// Timers are a job of a Runner, beside a subscription that has the name of the process, and end with it.
func TestTimersAreAJobOfARunner(t *testing.T) {
	t.Parallel()
	b := withHandled(t, withFired(t, setup(t)))
	fired := make(chan process.Timer, 1)
	timers := newTimers(t, b, func(_ context.Context, _ pgx.Tx, timer process.Timer) error {
		fired <- timer
		return nil
	}, nil)
	runner := &subscription.Runner{Jobs: []subscription.Job{timers, subscribe(t, b, "reminders", handlerKinds["tx"](b, nil), nil)}}
	ctx, cancel := context.WithCancel(b.ctx)
	ended := inBackground(func() error { return runner.Run(ctx) })
	require.NoError(t, process.At(b.ctx, b.repo, reminder("past"), time.Now().Add(-time.Hour), nil))
	select {
	case timer := <-fired:
		require.Equal(t, reminder("past"), timer.TimerRef)
	case err := <-ended:
		t.Fatalf("the runner ended: %v", err)
	}
	require.Eventually(t, func() bool { return runner.Healthy(b.ctx, time.Minute) == nil }, blockTimeout, 10*time.Millisecond)
	require.Equal(t, "reminders:timers", timers.Name())
	cancel()
	require.NoError(t, <-ended)
}

// Of one name there is one timer: set again it is another one, with another time, payload and id. Cancelled it does not fire.
func TestTimersAreReplacedAndCancelled(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	set := func(key string) {
		require.NoError(t, process.At(b.ctx, b.repo, reminder(key), time.Now().Add(-time.Minute), "first"))
	}
	set("a")
	first := readAll(t, process.List(b.ctx, b.repo, "reminders"))
	require.NoError(t, process.After(b.ctx, b.repo, reminder("a"), time.Hour, "second"))
	second := readAll(t, process.List(b.ctx, b.repo, "reminders"))
	require.Len(t, second, 1)
	require.NotEqual(t, first[0].ID, second[0].ID)
	require.JSONEq(t, `"second"`, string(second[0].Payload))

	set("b")
	cancelled, err := process.Cancel(b.ctx, b.repo, reminder("b"))
	require.NoError(t, err)
	require.True(t, cancelled)
	cancelled, err = process.Cancel(b.ctx, b.repo, reminder("b"))
	require.NoError(t, err)
	require.False(t, cancelled, "once only")
	_, err = process.Cancel(b.ctx, b.repo, process.TimerRef{Process: "reminders", Key: "a"})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)

	set("c")
	timers := newTimers(t, b, writeFired, nil)
	run1(t, b, timers)
	awaitSQL(t, b, "c", `SELECT string_agg(key, ',') FROM public.fired`)
	count, err := process.CancelAll(b.ctx, b.repo, "reminders", "a")
	require.NoError(t, err)
	require.Equal(t, 1, count)
	requireFiredOnce(t, b, "c")
}

// What is set or cancelled in a transaction is so once that commits.
func TestTimersBelongToTheTransaction(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	require.NoError(t, process.After(b.ctx, b.repo, reminder("kept"), time.Hour, nil))
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	inTx := b.repo.WithTx(tx)
	require.NoError(t, process.At(b.ctx, inTx, reminder("never"), time.Now(), nil))
	_, err = process.Cancel(b.ctx, inTx, reminder("kept"))
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(b.ctx))
	require.Equal(t, []string{"kept"}, texts(t, b, `SELECT key FROM eventstream.timers`))

	// A refusal is an error of the caller's; nil and zero values are refused as well.
	for _, err := range []error{
		process.At(b.ctx, b.repo, process.TimerRef{Process: "p", Key: "", Name: "n"}, time.Now(), nil),
		process.At(b.ctx, b.repo, process.TimerRef{Process: "p", Key: "k", Name: " n"}, time.Now(), nil),
		process.At(b.ctx, b.repo, reminder("a"), time.Time{}, nil),
		process.After(b.ctx, b.repo, reminder("a"), time.Second, func() {}),
		process.After(b.ctx, nil, reminder("a"), time.Second, nil),
		process.After(b.ctx, b.repo.WithTx(nil), reminder("a"), time.Second, nil),
	} {
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
}

// A handler that fails leaves nothing behind. The timer comes again after a pause that grows, and is parked after its tries; others go on. Once
// it is let go again, it fires.
func TestTimersAreParkedAfterTheirTries(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	var broken atomic.Bool
	broken.Store(true)
	errBroken := errors.New("broken\x00")
	failures := make(chan *process.TimerError, 100)
	config := quickTimers(t)
	config.OnError = func(err error) {
		var failure *process.TimerError
		if errors.As(err, &failure) {
			failures <- failure
		}
	}
	timers := newTimers(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if err := writeFired(ctx, tx, timer); err != nil {
			return err
		}
		if broken.Load() && timer.Key == "bad" {
			return errBroken
		}
		if broken.Load() && timer.Key == "panics" {
			panic("no such thing")
		}
		return nil
	}, config)
	for _, key := range []string{"bad", "good", "panics"} {
		require.NoError(t, process.At(b.ctx, b.repo, reminder(key), time.Now(), nil))
	}
	run1(t, b, timers)
	awaitSQL(t, b, "2", `SELECT count(*)::text FROM eventstream.timers WHERE parked_at IS NOT NULL`)
	awaitSQL(t, b, "1", `SELECT count(*)::text FROM public.fired`) // by another worker, maybe
	require.Equal(t, []string{"good"}, texts(t, b, `SELECT key FROM public.fired`))
	tries := map[string][]int{}
	waitFor(t, func() bool { return len(failures) >= 6 }, func() string { return "not all failures are told" })
	for len(failures) > 0 {
		failure := <-failures
		tries[failure.Timer.Key] = append(tries[failure.Timer.Key], failure.Tries)
		require.Equal(t, failure.Tries == 3, failure.Parked)
		var panicked *process.PanicError
		require.True(t, errors.Is(failure, errBroken) || errors.As(failure, &panicked), failure)
	}
	require.Equal(t, map[string][]int{"bad": {1, 2, 3}, "panics": {1, 2, 3}}, tries)
	parked := readAll(t, process.List(b.ctx, b.repo, "reminders"))
	require.Len(t, parked, 2)
	require.Equal(t, 3, parked[0].Tries)
	require.Equal(t, "broken\ufffd", parked[0].LastError)
	require.False(t, parked[0].ParkedAt.IsZero())

	broken.Store(false)
	for _, key := range []string{"bad", "panics"} {
		found, err := process.Retry(b.ctx, b.repo, reminder(key))
		require.NoError(t, err)
		require.True(t, found)
	}
	awaitSQL(t, b, "3", `SELECT count(*)::text FROM public.fired`)
	requireFiredOnce(t, b, "good", "bad", "panics")
	found, err := process.Retry(b.ctx, b.repo, reminder("bad"))
	require.NoError(t, err)
	require.False(t, found)
}

// What a handler says of its error counts as it does in a subscription: Permanent parks at once, RetryAfter is no try and sets the pause, nor is
// an error that tells of a server's condition.
func TestTimersHeedWhatHandlersSay(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	var calls atomic.Int64
	timers := newTimers(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		switch timer.Key {
		case "permanent":
			return subscription.Permanent(errPoison)
		case "later":
			return subscription.RetryAfter(errPoison, time.Hour)
		}
		if calls.Add(1) < 8 {
			_, err := tx.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$`)
			return err
		}
		return writeFired(ctx, tx, timer)
	}, nil)
	for _, key := range []string{"permanent", "later", "deadlock"} {
		require.NoError(t, process.At(b.ctx, b.repo, reminder(key), time.Now(), nil))
	}
	run1(t, b, timers)
	awaitSQL(t, b, "deadlock", `SELECT string_agg(key, ',') FROM public.fired`)
	awaitSQL(t, b, "permanent 1 t, later 0 f", `SELECT string_agg(format('%s %s %s', key, tries, parked_at IS NOT NULL), ', ' ORDER BY key DESC)
		FROM eventstream.timers WHERE last_error <> ''`)
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.timers
		WHERE key = 'later' AND next_at > clock_timestamp() + interval '50 minutes'`))
}

// A timer that its handler sets again comes again: each setting fires once.
func TestTimersThatSetThemselvesAgain(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	timers := newTimers(t, b, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		n, err := process.DecodeTimer[int](timer)
		if err != nil || n == 5 {
			return errors.Join(err, writeFired(ctx, tx, timer))
		}
		return errors.Join(writeFired(ctx, tx, timer), process.After(ctx, b.repo.WithTx(tx), timer.TimerRef, time.Millisecond, n+1))
	}, nil)
	require.NoError(t, process.At(b.ctx, b.repo, reminder("again"), time.Now(), 1))
	run1(t, b, timers)
	awaitSQL(t, b, "5", `SELECT count(*)::text FROM public.fired`)
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM eventstream.timers`)
	require.EqualValues(t, 5, number(t, b.ctx, b.pool, `SELECT count(DISTINCT timer_id) FROM public.fired`))
}

// A handler that ends its transaction ends Run: what it did may be there, and the timer is not tried again behind its back.
func TestTimersHandlerMustNotEndItsTransaction(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ctx context.Context, tx pgx.Tx) error{
		"Commit": func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) },
		"COMMIT": func(ctx context.Context, tx pgx.Tx) error { _, err := tx.Exec(ctx, "COMMIT"); return err },
		"ROLLBACK": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "ROLLBACK")
			return errors.Join(err, errPoison)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withFired(t, setup(t))
			timers := newTimers(t, b, func(ctx context.Context, tx pgx.Tx, _ process.Timer) error { return end(ctx, tx) }, nil)
			require.NoError(t, process.At(b.ctx, b.repo, reminder("a"), time.Now(), nil))
			if name == "Commit" { // is refused, and then an error of the handler's
				run1(t, b, timers)
				awaitSQL(t, b, "1", `SELECT count(*)::text FROM eventstream.timers WHERE parked_at IS NOT NULL`)
				return
			}
			require.ErrorIs(t, run1(t, b, timers).wait(t, b), eventstream.ErrTxEnded)
		})
	}
}

// A handler that keeps to itself that a statement failed has failed.
func TestTimersHandlerThatSwallowsAFailure(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	timers := newTimers(t, b, func(ctx context.Context, tx pgx.Tx, _ process.Timer) error {
		_, _ = tx.Exec(ctx, `SELECT 1 / 0`)
		return nil
	}, nil)
	require.NoError(t, process.At(b.ctx, b.repo, reminder("a"), time.Now(), nil))
	run1(t, b, timers)
	awaitSQL(t, b, "1", `SELECT count(*)::text FROM eventstream.timers WHERE parked_at IS NOT NULL AND last_error LIKE 'handler returned nil%'`)
}

// A handler that does not come to an end costs one worker; the others go on. Its transaction is ended by the server, so that another process
// gets the timer.
func TestTimersHandlerThatHangs(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	release := make(chan struct{})
	var calls atomic.Int64
	handle := func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if timer.Key == "hangs" && calls.Add(1) == 1 {
			<-release
		}
		return writeFired(ctx, tx, timer)
	}
	config := quickTimers(t)
	config.Workers, config.IdleTimeout = 2, 300*time.Millisecond
	run1(t, b, newTimers(t, b, handle, config))
	defer close(release)
	require.NoError(t, process.At(b.ctx, b.repo, reminder("hangs"), time.Now(), nil))
	require.Eventually(t, func() bool { return calls.Load() == 1 }, blockTimeout, time.Millisecond)
	var keys []string
	for i := range 20 {
		keys = append(keys, fmt.Sprint("other-", i))
		require.NoError(t, process.At(b.ctx, b.repo, reminder(keys[i]), time.Now(), nil))
	}
	awaitSQL(t, b, "20", `SELECT count(*)::text FROM public.fired`)
	run1(t, b, newTimers(t, anotherProcess(t, b, nil), handle, quickTimers(t)))
	awaitSQL(t, b, "21", `SELECT count(*)::text FROM public.fired`)
	requireFiredOnce(t, b, append(keys, "hangs")...)
}

// A handler has its time.
func TestTimersHandlerTimeout(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	failed := make(chan error, 100)
	config := quickTimers(t)
	config.HandlerTimeout = 20 * time.Millisecond
	config.OnError = func(err error) { failed <- err }
	run1(t, b, newTimers(t, b, func(ctx context.Context, tx pgx.Tx, _ process.Timer) error {
		_, err := tx.Exec(ctx, `SELECT pg_catalog.pg_sleep(60)`)
		return err
	}, config))
	require.NoError(t, process.At(b.ctx, b.repo, reminder("slow"), time.Now(), nil))
	require.ErrorIs(t, <-failed, subscription.ErrHandlerTimeout)
	awaitSQL(t, b, "3", `SELECT tries::text FROM eventstream.timers WHERE parked_at IS NOT NULL`)
}

// Clocks decide when a timer fires, not how often.
func TestTimersWhoseClockIsSet(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	run1(t, b, newTimers(t, b, writeFired, nil))
	for _, key := range []string{"a", "b"} {
		require.NoError(t, process.After(b.ctx, b.repo, reminder(key), time.Hour, nil))
	}
	shiftClock(t, b, 2*time.Hour)
	awaitSQL(t, b, "2", `SELECT count(*)::text FROM public.fired`)
	// Back to before they were due: what has fired stays so.
	require.NoError(t, process.After(b.ctx, b.repo, reminder("c"), 2*time.Hour, nil))
	shiftClock(t, b, -2*time.Hour)
	require.Equal(t, []string{"c"}, texts(t, b, `SELECT key FROM eventstream.timers`))
	shiftClock(t, b, 5*time.Hour)
	awaitSQL(t, b, "3", `SELECT count(*)::text FROM public.fired`)
	requireFiredOnce(t, b, "a", "b", "c")
}
