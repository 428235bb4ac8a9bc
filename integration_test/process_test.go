package integration_test

import (
	"context"
	"errors"
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

// parcel is what the process of these tests knows of an order.
type parcel struct {
	Items   int
	Overdue int
}

// event is an event of a type; its id is new, and a process gives it another.
func event(t tester, kind string) eventstream.Event {
	t.Helper()
	e, err := eventstream.NewEvent(kind, nil)
	require.NoError(t, err)
	return e
}

// shipping counts the items of an order, reminds of its payment, and ships it once it is paid: in a stream of the order's.
func shipping(t testing.TB) process.Process[parcel] {
	return process.Process[parcel]{
		Name: "shipping",
		Key: func(e eventstream.LogEvent) string {
			if e.Type == "parcel.shipped" || e.Type == "parcel.overdue" {
				return ""
			}
			return string(e.StreamID)
		},
		On: func(ctx context.Context, s *process.Step[parcel], e eventstream.LogEvent) error {
			switch e.Type {
			case "order.item-added":
				s.State.Items++
				return s.After(ctx, "payment", time.Hour, s.State.Items)
			case "order.paid":
				if _, err := s.Append(ctx, "ship", "parcel-"+e.StreamID, eventstream.Empty, event(t, "parcel.shipped")); err != nil {
					return err
				}
				s.End()
			}
			return nil
		},
		OnTimer: func(ctx context.Context, s *process.Step[parcel], _ process.Timer) error {
			s.State.Overdue++
			_, err := s.Append(ctx, "overdue", "reminder-"+eventstream.StreamID(s.Key), eventstream.Any, event(t, "parcel.overdue"))
			return errors.Join(err, s.After(ctx, "payment", time.Hour, nil))
		},
		Config: &subscription.Config{MinBackoff: time.Millisecond, Observer: logTroubles(t)},
		Timers: quickTimers(t),
	}
}

func newManager[S any](t testing.TB, b *bundle, p process.Process[S]) *process.Manager[S] {
	t.Helper()
	m, err := process.NewManager(b.repo, p)
	require.NoError(t, err)
	return m
}

func add(t testing.TB, b *bundle, id eventstream.StreamID, kind string) eventstream.AppendResult {
	t.Helper()
	result, err := b.repo.Append(b.ctx, id, eventstream.Any, event(t, kind))
	require.NoError(t, err)
	return result
}

// State, timers and what is appended follow the events of each key; the end of a key takes its state and its timers along.
func TestProcessKeepsStateTimersAndEventsTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := newManager(t, b, shipping(t))
	stop := keepRunning(t, b, m)
	for range 3 {
		add(t, b, "order-1", "order.item-added")
	}
	add(t, b, "order-2", "order.item-added")
	awaitCheckpoint(t, b, m.Subscription)
	state, known, err := process.State[parcel](b.ctx, b.repo, "shipping", "order-1")
	require.NoError(t, err)
	require.True(t, known)
	require.Equal(t, parcel{Items: 3}, state)
	timers := readAll(t, process.List(b.ctx, b.repo, "shipping"))
	require.Len(t, timers, 2)
	require.Equal(t, "3", string(timers[0].Payload), "the last setting counts")

	add(t, b, "order-1", "order.paid")
	awaitCheckpoint(t, b, m.Subscription)
	_, known, err = process.State[parcel](b.ctx, b.repo, "shipping", "order-1")
	require.NoError(t, err)
	require.False(t, known)
	shiftClock(t, b, 61*time.Minute)
	awaitSQL(t, b, "1", `SELECT count(*)::text FROM eventstream.events WHERE stream_id = 'reminder-order-2'`)
	shiftClock(t, b, 61*time.Minute)
	awaitSQL(t, b, "2", `SELECT count(*)::text FROM eventstream.events WHERE stream_id = 'reminder-order-2'`)
	stop()
	state, _, err = process.State[parcel](b.ctx, b.repo, "shipping", "order-2")
	require.NoError(t, err)
	require.Equal(t, parcel{Items: 1, Overdue: 2}, state)
	require.Equal(t, []string{"order-2"}, texts(t, b, `SELECT key FROM eventstream.timers`))
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE stream_id = 'parcel-order-1'`))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE stream_id = 'reminder-order-1'`))
	requireAuditClean(t, b)
}

// A step that fails leaves nothing of itself, nor of the batch: no state, no event, no timer.
func TestProcessStepThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := shipping(t)
	broken := errors.New("broken")
	on := p.On
	p.On = func(ctx context.Context, s *process.Step[parcel], e eventstream.LogEvent) error {
		if err := on(ctx, s, e); err != nil || e.StreamID != "order-2" {
			return err
		}
		return broken
	}
	p.Config.MaxTries = 2
	add(t, b, "order-1", "order.item-added")
	add(t, b, "order-2", "order.item-added")
	add(t, b, "order-2", "order.paid")
	m := newManager(t, b, p)
	var failed *subscription.HandlerError
	require.ErrorAs(t, m.Run(b.ctx), &failed)
	require.ErrorIs(t, failed, broken)
	require.EqualValues(t, "order-2", failed.Event.StreamID)
	require.Equal(t, []string{"order-1"}, texts(t, b, `SELECT key FROM eventstream.process_states`))
	require.Equal(t, []string{"order-1"}, texts(t, b, `SELECT key FROM eventstream.timers`))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE stream_id LIKE 'parcel-%'`))
}

// Handled again from the beginning, a process appends nothing twice: its events and timers have ids that are derived.
func TestProcessHandledAgainAppendsNothingTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := shipping(t)
	var duplicates atomic.Int64
	p.On = func(ctx context.Context, s *process.Step[parcel], e eventstream.LogEvent) error {
		if e.Type != "order.paid" {
			return s.At(ctx, "payment", time.Now().Add(-time.Hour), nil)
		}
		result, err := s.Append(ctx, "ship", "parcel-"+e.StreamID, eventstream.Any, event(t, "parcel.shipped"), event(t, "parcel.shipped"))
		if result.Duplicate {
			duplicates.Add(1)
		}
		return err
	}
	p.OnTimer = func(ctx context.Context, s *process.Step[parcel], _ process.Timer) error {
		result, err := s.Append(ctx, "overdue", "parcel-"+eventstream.StreamID(s.Key), eventstream.Any, event(t, "parcel.overdue"))
		if result.Duplicate {
			duplicates.Add(1)
		}
		return err
	}
	paid := event(t, "order.paid")
	_, err := b.repo.Append(b.ctx, "order-1", eventstream.Empty, event(t, "order.item-added"), paid)
	require.NoError(t, err)
	for again := range 2 {
		m := newManager(t, b, p)
		stop := keepRunning(t, b, m)
		awaitCheckpoint(t, b, m.Subscription)
		awaitSQL(t, b, "0", `SELECT count(*)::text FROM eventstream.timers`)
		stop()
		require.EqualValues(t, 3, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE stream_id = 'parcel-order-1'`))
		require.EqualValues(t, 2*again, duplicates.Load())
		require.NoError(t, subscription.Reset(b.ctx, b.repo, "shipping", eventstream.FromBeginning))
		execSQL(t, b.ctx, b.pool, `DELETE FROM eventstream.process_states`)
	}
	ids := idsOf(readAll(t, b.repo.Read(b.ctx, "parcel-order-1", eventstream.ReadOptions{})))
	require.Contains(t, ids, process.EventID(paid.ID, "shipping", "ship", 0))
	require.Contains(t, ids, process.EventID(paid.ID, "shipping", "ship", 1))
}

// A refusal of what a step wants to append is its own business: it may decide otherwise, and its transaction lives on.
func TestProcessDecidesAboutARefusal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := shipping(t)
	p.On = func(ctx context.Context, s *process.Step[parcel], e eventstream.LogEvent) error {
		_, err := s.Append(ctx, "ship", "parcel-1", eventstream.Exact(0), event(t, "parcel.shipped"))
		var conflict *eventstream.VersionConflictError
		if !errors.As(err, &conflict) {
			return err
		}
		s.State.Items = int(conflict.Actual)
		_, err = s.Append(ctx, "refuse", "refusal-"+e.StreamID, eventstream.Empty, event(t, "parcel.shipped"))
		return err
	}
	given(t, b, "parcel-1", 2)
	p.Config.Filter = eventstream.LogFilter{Category: "order"}
	add(t, b, "order-1", "order.paid")
	m := newManager(t, b, p)
	keepRunning(t, b, m)
	awaitCheckpoint(t, b, m.Subscription)
	state, _, err := process.State[parcel](b.ctx, b.repo, "shipping", "order-1")
	require.NoError(t, err)
	require.Equal(t, 2, state.Items)
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE stream_id = 'refusal-order-1'`))
}

// What a step may not do is an error that says so.
func TestProcessMisuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := func(on func(context.Context, *process.Step[parcel], eventstream.LogEvent) error, change ...func(*process.Process[parcel])) error {
		t.Helper()
		p := shipping(t)
		p.Name = "misuse-" + uuid.NewString()
		p.On, p.OnTimer = on, nil
		p.Config.MaxTries = 1
		for _, c := range change {
			c(&p)
		}
		var failed *subscription.HandlerError
		err := run1(t, b, newManager(t, b, p)).wait(t, b)
		require.ErrorAs(t, err, &failed)
		return failed.Err
	}
	add(t, b, "order-1", "order.paid")
	require.ErrorIs(t, run(func(ctx context.Context, s *process.Step[parcel], _ eventstream.LogEvent) error {
		return s.After(ctx, "payment", time.Hour, nil)
	}), process.ErrNoTimers)
	require.ErrorIs(t, run(func(ctx context.Context, s *process.Step[parcel], _ eventstream.LogEvent) error {
		_, err := s.Append(ctx, "ship", "a", eventstream.Any, event(t, "a"))
		require.NoError(t, err)
		_, err = s.Append(ctx, "ship", "b", eventstream.Any, event(t, "b"))
		return err
	}), eventstream.ErrInvalidValue)
	require.ErrorIs(t, run(func(context.Context, *process.Step[parcel], eventstream.LogEvent) error { return nil },
		func(p *process.Process[parcel]) { p.Key = func(eventstream.LogEvent) string { return " x" } }), eventstream.ErrInvalidValue)
	require.ErrorIs(t, run(func(ctx context.Context, s *process.Step[parcel], _ eventstream.LogEvent) error {
		return s.Tx().Commit(ctx)
	}), eventstream.ErrTxEnded)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.process_states`))

	for _, p := range []process.Process[parcel]{{Name: "p"}, {Name: "p", Key: shipping(t).Key}, {Key: shipping(t).Key, On: shipping(t).On}} {
		_, err := process.NewManager(b.repo, p)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
	_, err := process.NewManager(nil, shipping(t))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	for _, onTimer := range []bool{true, false} {
		p := shipping(t)
		if !onTimer {
			p.OnTimer = nil
		}
		m, err := process.NewManager(b.repo.ForTenant("acme"), p)
		require.ErrorContains(t, err, "not one tenant's", "with timers: %v", onTimer)
		require.Nil(t, m)
	}
}

// Two who begin a process for one key at the same time, in two shards, do not lose what either knew: one of them decides anew. Step by step.
func TestRaceTwoBeginAProcessForOneKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := begin(t, b), begin(t, b)
	look := `SELECT count(*) FROM eventstream.lock_process_states('p', ARRAY['k'])`
	save := func(tx pgx.Tx) error {
		_, err := tx.Exec(b.ctx, `SELECT eventstream.save_process_states('p', ARRAY['k'], ARRAY['1']::jsonb[], '{}', '{}', '{}')`)
		return err
	}
	require.Zero(t, number(t, b.ctx, first, look))
	require.Zero(t, number(t, b.ctx, second, look))
	require.NoError(t, save(first))
	saved := start(func() (bool, error) { return true, save(second) })
	waitBlocked(t, b, pidOf(second), pidOf(first))
	require.NoError(t, first.Commit(b.ctx))
	requireSQLState(t, (<-saved).err, "40001")
	require.NoError(t, second.Rollback(b.ctx))
	// Once there is a state, who wants it waits for who has it.
	first, second = begin(t, b), begin(t, b)
	require.EqualValues(t, 1, number(t, b.ctx, first, look))
	looked := start(func() (int64, error) { var n int64; return n, second.QueryRow(b.ctx, look).Scan(&n) })
	waitBlocked(t, b, pidOf(second), pidOf(first))
	require.NoError(t, first.Rollback(b.ctx))
	require.NoError(t, (<-looked).err)
}

// A timer and an event of one key wait for each other, and never both: the state comes first for both. Step by step.
func TestRaceAnEventCancelsATimerThatIsDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.save_process_states('reminders', ARRAY['k'], ARRAY['1']::jsonb[], '{}', '{}', '{}')`)
	require.NoError(t, process.At(b.ctx, b.repo, reminder("k"), time.Now(), nil))
	onEvent, onTimer := begin(t, b), begin(t, b)
	require.EqualValues(t, 1, number(t, b.ctx, onEvent, `SELECT count(*) FROM eventstream.lock_process_states('reminders', ARRAY['k'])`))
	taken := start(func() (int64, error) {
		var n int64
		err := onTimer.QueryRow(b.ctx, `SELECT count(*) FROM eventstream.take_timers('reminders', '{k}', '{remind}')`).Scan(&n)
		return n, err
	})
	waitBlocked(t, b, pidOf(onTimer), pidOf(onEvent))
	cancelled, err := process.Cancel(b.ctx, b.repo.WithTx(onEvent), reminder("k"))
	require.NoError(t, err)
	require.True(t, cancelled)
	require.NoError(t, onEvent.Commit(b.ctx))
	got := <-taken
	require.NoError(t, got.err)
	require.Zero(t, got.value, "it was cancelled")
}
