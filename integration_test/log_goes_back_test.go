package integration_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// goBack puts the log back to its first event, as a restore in place does or a failover to a standby that lacks the rest, and ends every
// session but its own. What is done before these end happens in the same transaction.
const goBack = `
	ALTER TABLE eventstream.log_state DISABLE TRIGGER USER;
	ALTER TABLE eventstream.log_marks DISABLE TRIGGER USER;
	ALTER TABLE eventstream.partition_marks DISABLE TRIGGER USER;
	UPDATE eventstream.log_state SET stable_position = 1, last_position = 1, last_sequence = 1, marked_position = 0, marked_sequence = 0;
	DELETE FROM eventstream.log_marks WHERE position > 1;
	DELETE FROM eventstream.partition_marks WHERE position > 1;
	UPDATE eventstream.subscription_shards SET position = 1;
	SELECT setval('eventstream.events_position_seq', 1);
	ALTER TABLE eventstream.log_state ENABLE TRIGGER USER;
	ALTER TABLE eventstream.log_marks ENABLE TRIGGER USER;
	ALTER TABLE eventstream.partition_marks ENABLE TRIGGER USER;`

const endSessions = `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
	WHERE datname = current_database() AND pid <> pg_backend_pid()`

// burn draws positions that no event has: who looks at the log sees them all the same.
func burn(t testing.TB, b *bundle, count int) {
	t.Helper()
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	_, err = b.repo.WithTx(tx).Append(b.ctx, "burnt-1", eventstream.Any, someEvents(t, count)...)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(b.ctx))
}

// backAfter puts the log of a bundle back to its first event once everybody has seen position 201, and gives a bundle that was not there
// before: its sessions began afterwards.
func backAfter(t testing.TB, b *bundle, seen func()) *bundle {
	t.Helper()
	given(t, b, "first-1", 1)
	burn(t, b, 200)
	seen()
	putBack(t, b, session(t, b))
	return anotherProcess(t, b, nil)
}

// putBack is goBack, and ends the other sessions. Those lock rows in orders of their own meanwhile: where that becomes a deadlock, it begins
// anew, as who restores a server would.
func putBack(t testing.TB, b *bundle, conn *pgx.Conn) {
	t.Helper()
	err := simpleErr(b.ctx, conn, "BEGIN;"+goBack+"COMMIT;"+endSessions)
	for hasCode(err, "40P01") {
		require.NoError(t, simpleErr(b.ctx, conn, "ROLLBACK"))
		err = simpleErr(b.ctx, conn, "BEGIN;"+goBack+"COMMIT;"+endSessions)
	}
	require.NoError(t, err)
}

// behind appends 350 events below and above what was seen of the log before it went back.
func behind(t testing.TB, b *bundle) {
	t.Helper()
	for i := range 35 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("after-%d", i)), 10)
	}
}

// requireHandled demands that all that is committed was handled, whatever came twice.
func requireHandled(t testing.TB, b *bundle) {
	t.Helper()
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM (SELECT position, stream_id FROM eventstream.events
		EXCEPT SELECT position, stream_id FROM public.handled) AS missing`)
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM (SELECT position, stream_id FROM public.handled
		EXCEPT SELECT position, stream_id FROM eventstream.events) AS made_up`)
}

// When the log's end goes back, each kind of handler gets all that comes afterwards, whether it is appended before the process is back or
// once it is: nothing that a server said outlives the connection that it said it on.
func TestLogGoesBackUnderHandlers(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before it is back", "once it is back"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			eachKind(t, func(t *testing.T, b *bundle, kind string) {
				p := anotherProcess(t, b, lively)
				s := subscribe(t, p, "reader", handlerKinds[kind](p, nil), quick(subscription.Stop))
				keepRunning(t, p, s)
				after := backAfter(t, b, func() {
					awaitSQL(t, b, "201", `SELECT position::text FROM eventstream.subscription_shards`)
				})
				if when == "once it is back" {
					awaitBack(t, after, "reader")
				}
				behind(t, after)
				ctx, cancel := context.WithTimeout(b.ctx, blockTimeout)
				defer cancel()
				waits := subscribe(t, after, "reader", handlerKinds[kind](after, nil), nil)
				require.NoError(t, waits.WaitFor(ctx, drawn(t, after)))
				requireHandled(t, after)
				if kind == "tx" {
					requireHandledOnce(t, after)
				}
				lag, err := subscription.List(b.ctx, after.repo)
				require.NoError(t, err)
				require.Zero(t, lag[0].Events)
				keep(t, after)
				requireAuditClean(t, after)
			})
		})
	}
}

// awaitBack waits until a new member owns the shard, and has seen all that there is.
func awaitBack(t testing.TB, b *bundle, name string) {
	t.Helper()
	awaitSQL(t, b, "owned", `SELECT string_agg(DISTINCT state, ',') FROM eventstream.audit_subscriptions WHERE subscription = $1`, name)
	awaitSQL(t, b, "1", `SELECT count(*)::text FROM eventstream.live_members()`)
}

// A projection is as what is left of the log says, and so is one shard of many that has nothing to do.
func TestLogGoesBackUnderAProjection(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 8} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p := anotherProcess(t, b, lively)
			projection := projector(t, p, counts(&subscription.Config{Shards: shards}))
			keepRunning(t, p, projection)
			after := backAfter(t, b, func() {
				awaitSQL(t, b, "201", `SELECT min(position)::text FROM eventstream.subscription_shards`)
			})
			awaitBack(t, after, "counts")
			behind(t, after)
			ctx, cancel := context.WithTimeout(b.ctx, blockTimeout)
			defer cancel()
			waits := projector(t, after, counts(&subscription.Config{Shards: shards}))
			require.NoError(t, waits.WaitFor(ctx, drawn(t, after)))
			requireCounted(t, after, "counts.streams")
		})
	}
}

// Who follows the log by ReadLog goes on behind the last event that was read, and WaitFor refuses a position that is no longer there.
func TestLogGoesBackUnderReaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := anotherProcess(t, b, lively)
	next, sequence := int64(1), int64(0)
	follow := func() {
		for e, err := range p.repo.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.FromPosition(next)}) {
			require.NoError(t, err)
			require.Equal(t, sequence+1, e.Sequence)
			next, sequence = e.Position+1, e.Sequence
		}
	}
	s := subscribe(t, p, "reader", subscription.TxHandler(newJournal().tx), nil)
	require.NoError(t, s.Create(b.ctx))
	after := backAfter(t, b, func() {
		follow()
		head, err := p.repo.LogHead(b.ctx)
		require.NoError(t, err)
		require.Equal(t, eventstream.LogHead{Position: 201, Sequence: 1}, head)
	})
	awaitPool(t, p)
	require.ErrorIs(t, s.WaitFor(b.ctx, 201), eventstream.ErrBeyondLog)
	follow()
	require.Equal(t, int64(1), sequence)
	behind(t, after)
	follow()
	require.Equal(t, int64(351), sequence)
	ctx, cancel := context.WithTimeout(b.ctx, time.Second/4)
	defer cancel()
	require.ErrorIs(t, s.WaitFor(ctx, 201), context.DeadlineExceeded, "nobody runs it")
}

// awaitPool waits until a pool has noticed that its connections were ended.
func awaitPool(t testing.TB, b *bundle) {
	t.Helper()
	require.Eventually(t, func() bool {
		for range b.pool.Config().MaxConns {
			if b.pool.Ping(b.ctx) != nil {
				return false
			}
		}
		return true
	}, blockTimeout, time.Millisecond)
}

// forget removes the events above a position, their marks and their positions, as a standby that has not got them does.
func forget(t testing.TB, b *bundle, above int64) {
	t.Helper()
	require.NoError(t, simpleErr(b.ctx, session(t, b), fmt.Sprintf(`BEGIN; SET LOCAL session_replication_role = replica;
		DELETE FROM eventstream.events WHERE position > %[1]d;
		DELETE FROM eventstream.log_marks;
		DELETE FROM eventstream.partition_marks;
		UPDATE eventstream.log_state SET stable_position = 0, last_position = 0, last_sequence = 0, marked_position = 0, marked_sequence = 0;
		SELECT setval('eventstream.events_position_seq', %[1]d);
		COMMIT`, above)))
}

// A loop that has begun on one server is told when its pages come from another log, and goes on where it is the same: within a loop by
// itself, from one loop to the next with After.
func TestLogGoesBackUnderALoop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		backwards bool
		change    func(t *testing.T, b *bundle)
		want      int // events, or an error
	}{
		{"nothing changes", false, func(*testing.T, *bundle) {}, 40},
		{"nothing changes, backwards", true, func(*testing.T, *bundle) {}, 40},
		{"what was read is gone", false, func(t *testing.T, b *bundle) { forget(t, b, 1) }, 0},
		{"what was read is gone, and others are there", false, func(t *testing.T, b *bundle) {
			forget(t, b, 1)
			given(t, b, "other-1", 60)
		}, 0},
		{"what was not read is gone", false, func(t *testing.T, b *bundle) { forget(t, b, 20) }, 20},
		{"what was not read is gone, and others are there", false, func(t *testing.T, b *bundle) {
			forget(t, b, 20)
			given(t, b, "other-1", 60)
		}, 40},
		{"what was read is gone, backwards", true, func(t *testing.T, b *bundle) { forget(t, b, 20) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 40)
			w := &pageWatch{}
			repo, pool := w.watched(t, b, 1)
			var got []eventstream.LogEvent
			var failed error
			for e, err := range repo.ReadLog(b.ctx, eventstream.LogOptions{Backwards: c.backwards}) {
				if failed = err; err != nil {
					break
				}
				if got = append(got, e); len(got) == 2 {
					// No connection lives through such a change: the page that is read ahead was read before it.
					require.Eventually(t, func() bool {
						return w.begun.Load() == 2 && w.running.Load() == 0 && pool.Stat().AcquiredConns() == 0
					}, blockTimeout, time.Millisecond)
					c.change(t, b)
					pool.Reset() // all further connections are new ones
				}
			}
			if c.want > 0 {
				require.NoError(t, failed)
				require.Len(t, got, c.want)
				return
			}
			require.ErrorIs(t, failed, eventstream.ErrBeyondLog)
			var beyond *eventstream.BeyondLogError
			require.ErrorAs(t, failed, &beyond)
			require.Equal(t, "event", beyond.Field)
			require.Less(t, len(got), 40)
		})
	}
}

// After tells a loop that follows the log whether what it read last is still there.
func TestLogAfterAnEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	read := readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{}))
	from := func(e eventstream.LogEvent) ([]eventstream.LogEvent, error) {
		var events []eventstream.LogEvent
		for e, err := range b.repo.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.After(e)}) {
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
		return events, nil
	}
	after, err := from(read[4])
	require.NoError(t, err)
	require.Equal(t, read[5:], after)
	after, err = from(read[9])
	require.NoError(t, err)
	require.Empty(t, after)

	execSQL(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position()`)
	removeKeeping(t, b, read[4].Position)
	after, err = from(read[4])
	require.NoError(t, err, "an event that was removed was there")
	require.Equal(t, read[5:], after)

	forget(t, b, 6)
	for _, refill := range []bool{false, true} {
		if refill {
			given(t, b, "other-1", 10)
		}
		_, err = from(read[9])
		require.ErrorIs(t, err, eventstream.ErrBeyondLog)
		var beyond *eventstream.BeyondLogError
		require.ErrorAs(t, err, &beyond)
		require.Equal(t, "event", beyond.Field)
		require.Equal(t, read[9].Position, beyond.Value)
		s := subscribe(t, b, "reader", subscription.TxHandler(newJournal().tx), &subscription.Config{From: eventstream.After(read[9])})
		require.ErrorIs(t, s.Create(b.ctx), eventstream.ErrBeyondLog)
	}
	after, err = from(read[5])
	require.NoError(t, err)
	require.Len(t, after, 10, "those that took the place of what is gone")

	for _, bad := range []eventstream.LogOptions{
		{From: eventstream.After(eventstream.LogEvent{})}, {From: eventstream.After(read[5]), Backwards: true},
	} {
		_, err := lastOf(b.repo.ReadLog(b.ctx, bad))
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
}

// removeKeeping removes an event as retention will: its number stays taken.
func removeKeeping(t testing.TB, b *bundle, position int64) {
	t.Helper()
	require.NoError(t, simpleErr(b.ctx, session(t, b), fmt.Sprintf(`BEGIN;
		SELECT eventstream.keep_sequences(ARRAY[%[1]d::bigint]);
		SET LOCAL session_replication_role = replica;
		DELETE FROM eventstream.events WHERE position = %[1]d;
		COMMIT`, position)))
}
