package integration_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// A raw INSERT takes no lock of the stream: append finds out at the primary key. What it then does must be right for all of its events, and
// it must come to an end.

// Append of several events against a raw INSERT of the next version, in both orders: all of them are there or none, with nobody else's
// between them.
func TestRaceRawInsertAgainstSeveralEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expected int64
		commit   bool
		outcome  string
		first    int64
	}{
		"AnyAfterACommit":     {anyVersion, true, "1 appended 3..5 at 5/5", 3},
		"AnyAfterARollback":   {anyVersion, false, "1 appended 2..4 at 4/4", 2},
		"ExactAfterACommit":   {1, true, "1 version_conflict -..- at 2/2", 0},
		"ExactAfterARollback": {1, false, "1 appended 2..4 at 4/4", 2},
	} {
		t.Run("InsertFirst/"+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 1)
			raw, second := newActor(t, b), newActor(t, b)
			execSQL(t, b.ctx, raw.tx, rawInsert, "order-1", 2)
			mine := someEvents(t, 3)
			waiting := start(func() ([]string, error) {
				return appendBatch(b.ctx, second.tx, false, request{stream: "order-1", expected: c.expected, events: mine},
					request{stream: "beside-1", expected: anyVersion, events: someEvents(t, 2)})
			})
			waitBlocked(t, b, second.pid(), raw.pid())
			raw.end(t, b, c.commit)
			got := <-waiting
			require.NoError(t, got.err)
			require.Equal(t, []string{c.outcome, "2 appended 1..2 at 2/2"}, got.value)
			second.end(t, b, true)
			requireTogether(t, b, "order-1", c.first, mine)
			requireAuditClean(t, b)
		})
	}
	for _, version := range []int64{2, 3, 4} {
		for end, commit := range map[string]bool{"Commits": true, "RollsBack": false} {
			t.Run("AppendFirst/"+end+string(rune('0'+version)), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				given(t, b, "order-1", 1)
				first, raw := newActor(t, b), newActor(t, b)
				mine := someEvents(t, 3)
				_, err := first.repo.Append(b.ctx, "order-1", eventstream.Any, mine...)
				require.NoError(t, err)
				waiting := start(func() (any, error) { return raw.tx.Exec(b.ctx, rawInsert, "order-1", version) })
				waitBlocked(t, b, raw.pid(), first.pid())
				first.end(t, b, commit)
				err = (<-waiting).err
				switch {
				case commit:
					require.Equal(t, "events_pkey", requireSQLState(t, err, "23505").ConstraintName)
				case version == 2:
					require.NoError(t, err)
				default:
					requireSQLState(t, err, "ES002")
				}
				raw.end(t, b, err == nil)
				if commit {
					requireTogether(t, b, "order-1", 2, mine)
				} else {
					requireTogether(t, b, "order-1", 0, mine)
				}
				requireAuditClean(t, b)
			})
		}
	}
}

// requireTogether demands that events stand one after the other from a version on; from 0, that none of them is there.
func requireTogether(t *testing.T, b *bundle, id eventstream.StreamID, first int64, events []eventstream.Event) {
	t.Helper()
	versions := map[uuid.UUID]int64{}
	for _, e := range readAll(t, b.repo.Read(b.ctx, id, eventstream.ReadOptions{})) {
		versions[e.ID] = e.Version
	}
	for i, e := range events {
		want := first + int64(i)
		if first == 0 {
			want = 0
		}
		require.Equal(t, want, versions[e.ID])
	}
}

// An append whose ids exist, where the snapshot sees them, is a duplicate or a conflict in every isolation level: 40001 would be raised again at
// each retry. An id that comes twice in a call is refused as such.
func TestRepetitionsEndInEveryIsolationLevel(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		for _, count := range []int{1, 3} {
			t.Run(string(level)+string(rune('0'+count)), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				there := given(t, b, "order-1", count)
				given(t, b, "order-2", 1)
				unchanged := unwritten(t, b)
				in := func(id eventstream.StreamID, expected eventstream.Expected, events ...eventstream.Event) (result eventstream.AppendResult, err error) {
					tx, err := session(t, b).BeginTx(b.ctx, pgx.TxOptions{IsoLevel: level})
					require.NoError(t, err)
					result, err = b.repo.WithTx(tx).Append(b.ctx, id, expected, events...)
					require.NoError(t, tx.Rollback(b.ctx))
					return result, err
				}
				for _, expected := range []eventstream.Expected{eventstream.Any, eventstream.Empty, eventstream.Exists, eventstream.Exact(0)} {
					result, err := in("order-1", expected, there...)
					require.NoError(t, err)
					require.True(t, result.Duplicate)
				}
				for _, id := range []eventstream.StreamID{"order-2", "new-1"} {
					_, err := in(id, eventstream.Any, there...)
					require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
					require.False(t, eventstream.SafeToRetry(err))
				}
				twice := anEvent(t, 1)
				_, err := in("order-1", eventstream.Any, twice, twice)
				require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
				require.False(t, eventstream.SafeToRetry(err))
				unchanged()
				requireAuditClean(t, b)
			})
		}
	}
}

// Names of constraints change: REINDEX CONCURRENTLY has two indexes at work, and leaves the old one under another name for a while. A loss is
// judged by what is there.
func TestLossesAreJudgedWhateverTheConstraintIsCalled(t *testing.T) {
	t.Parallel()
	for name, rename := range map[string]func(t *testing.T, b *bundle) (back func()){
		"Renamed": func(t *testing.T, b *bundle) func() {
			execSQL(t, b.ctx, b.pool, `ALTER INDEX eventstream.events_pkey RENAME TO events_pkey_ccold`)
			execSQL(t, b.ctx, b.pool, `ALTER INDEX eventstream.events_event_id_key RENAME TO anything`)
			return func() {
				execSQL(t, b.ctx, b.pool, `ALTER INDEX eventstream.events_pkey_ccold RENAME TO events_pkey`)
				execSQL(t, b.ctx, b.pool, `ALTER INDEX eventstream.anything RENAME TO events_event_id_key`)
			}
		},
		"Reindexing": func(t *testing.T, b *bundle) func() {
			// It has made the new index, and waits for a transaction that uses the table.
			user := newActor(t, b)
			execSQL(t, b.ctx, user.tx, `LOCK TABLE eventstream.events IN ROW EXCLUSIVE MODE`)
			conn := session(t, b)
			done := start(func() (any, error) { return conn.Exec(b.ctx, `REINDEX INDEX CONCURRENTLY eventstream.events_pkey`) })
			waitBlocked(t, b, conn.PgConn().PID(), user.pid())
			require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_class WHERE relname = 'events_pkey_ccnew'`))
			return func() {
				user.end(t, b, false)
				require.NoError(t, (<-done).err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			there := given(t, b, "order-1", 1)
			back := rename(t, b)

			// The version is taken by a raw INSERT: once more, or a conflict.
			for _, events := range []int{1, 3} {
				for _, exact := range []bool{true, false} {
					raw, second := newActor(t, b), newActor(t, b)
					current := number(t, b.ctx, b.pool, `SELECT watermark FROM eventstream.streams WHERE stream_id = 'order-1'`)
					expected := eventstream.Expected(eventstream.Any)
					if exact {
						expected = eventstream.Exact(current)
					}
					execSQL(t, b.ctx, raw.tx, rawInsert, "order-1", current+1)
					waiting := start(func() (eventstream.AppendResult, error) {
						return second.repo.Append(b.ctx, "order-1", expected, someEvents(t, events)...)
					})
					waitBlocked(t, b, second.pid(), raw.pid())
					raw.end(t, b, true)
					got := <-waiting
					if exact {
						require.ErrorIs(t, got.err, eventstream.ErrVersionConflict)
					} else {
						require.NoError(t, got.err)
						require.Equal(t, current+2, got.value.FirstVersion)
					}
					second.end(t, b, true)
				}
			}
			// The ids exist: the same again, or something else.
			again, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, there...)
			require.NoError(t, err)
			require.True(t, again.Duplicate)
			_, err = b.repo.Append(b.ctx, "order-2", eventstream.Any, there...)
			require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
			back()
			requireAuditClean(t, b)
		})
	}
}
