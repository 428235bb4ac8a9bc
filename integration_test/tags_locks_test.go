package integration_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What writes through a function holds its tags before it draws positions, so that it is never refused for being too late: a decision that
// was asked before it, and appends while it waits, has the lower position.
func TestTagsFunctionsAreNeverTooLate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Append", "AppendMany", "Ingest"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, err := b.repo.Append(b.ctx, "first-1", eventstream.Empty, tagged(t, "course:7"))
			require.NoError(t, err)
			writer, decider := newActor(t, b), newActor(t, b)
			_, err = decide(t, b.ctx, decider.repo, byTags("course:7"), 0, "mine-1")
			requireConflict(t, err, 1)
			waiting := start(func() (struct{}, error) {
				return struct{}{}, taggedWriters(t)[name](b.ctx, writer.tx, "other-1", "course:7")
			})
			waitBlocked(t, b, writer.pid(), decider.pid())
			_, err = decide(t, b.ctx, decider.repo, byTags("course:7"), 1, "mine-1")
			require.NoError(t, err, "the refused decision still holds its tags")
			decider.end(t, b, true)
			require.NoError(t, (<-waiting).err)
			writer.end(t, b, true)
			requireDecisionsHold(t, b)
		})
	}
}

// A transaction with one snapshot decides if everything appended is stable in it, and is a serialization failure otherwise, also where
// nothing matches: it cannot know.
func TestTagsDecisionsInOneSnapshot(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, err := b.repo.Append(b.ctx, "first-1", eventstream.Empty, tagged(t, "course:7"))
			require.NoError(t, err)
			execSQL(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position('0')`)
			attempt := func(during func()) (err error) {
				tx, err := session(t, b).BeginTx(b.ctx, pgx.TxOptions{IsoLevel: level})
				require.NoError(t, err)
				events, at, err := b.repo.WithTx(tx).ReadQuery(b.ctx, byTags("course:7"), 0)
				require.NoError(t, err)
				require.Len(t, events, 1)
				during()
				if _, err = decide(t, b.ctx, b.repo.WithTx(tx), byTags("course:7"), at, "mine-1"); err != nil {
					_ = tx.Rollback(b.ctx)
					return err
				}
				return tx.Commit(b.ctx)
			}
			err = attempt(func() {
				_, err := b.repo.Append(b.ctx, "other-1", eventstream.Empty, tagged(t, "course:7"))
				require.NoError(t, err)
				execSQL(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position('0')`)
			})
			requireSQLState(t, err, "40001")
			require.True(t, eventstream.SafeToRetry(err))
			tx, err := session(t, b).BeginTx(b.ctx, pgx.TxOptions{IsoLevel: level})
			require.NoError(t, err)
			_, err = decide(t, b.ctx, b.repo.WithTx(tx), byTags("course:7"), 1, "mine-1")
			requireConflict(t, err, 2)
			_, err = decide(t, b.ctx, b.repo.WithTx(tx), byTags("course:7"), 2, "mine-1")
			require.NoError(t, err)
			require.NoError(t, tx.Commit(b.ctx))
			requireDecisionsHold(t, b)
		})
	}
}

// Where REPEATABLE READ is the default, a decision that goes by itself is made in READ COMMITTED.
func TestTagsDecisionsUnderADefaultOfOneSnapshot(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["default_transaction_isolation"] = "repeatable read"
	})
	for i := range 3 {
		_, at, err := b.repo.ReadQuery(b.ctx, byTags("course:7"), 0)
		require.NoError(t, err)
		_, err = b.repo.AppendIf(b.ctx, byTags("course:7"), at, toStream(eventstream.StreamID(fmt.Sprintf("mine-%d", i)), tagged(t, "course:7")))
		require.NoError(t, err)
	}
	requireDecisionsHold(t, b)
}

// Two-phase commit: a prepared transaction has no session, and keeps its tags. Writers wait for a prepared decision, decisions for a prepared
// writer.
func TestTagsAreHeldByPreparedTransactions(t *testing.T) {
	t.Parallel()
	for _, decides := range []bool{true, false} {
		t.Run(fmt.Sprintf("decision=%v", decides), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			prepared, other := newActor(t, b), newActor(t, b)
			at := position(t, b, byTags("course:7"))
			write := func(a *actor) error {
				_, err := a.repo.Append(b.ctx, "written-1", eventstream.Empty, tagged(t, "course:7"))
				return err
			}
			decides1 := func(a *actor) error {
				_, err := decide(t, b.ctx, a.repo, byTags("course:7"), at, "decided-1")
				return err
			}
			first, second := write, decides1
			if decides {
				first, second = decides1, write
			}
			require.NoError(t, first(prepared))
			name := fmt.Sprintf("tags-%v-%d", decides, prepared.pid())
			execSQL(t, b.ctx, prepared.conn, `PREPARE TRANSACTION '`+name+`'`)
			execSQL(t, b.ctx, other.tx, `SAVEPOINT s; SET LOCAL lock_timeout = '50ms'`)
			requireSQLState(t, second(other), "55P03")
			execSQL(t, b.ctx, other.tx, `ROLLBACK TO s`)
			execSQL(t, b.ctx, b.pool, `COMMIT PREPARED '`+name+`'`)
			if err := second(other); decides {
				require.NoError(t, err)
			} else {
				requireConflict(t, err, 0)
			}
			other.end(t, b, true)
			requireDecisionsHold(t, b)
		})
	}
}

// What was taken in a cursor's statement would fall with the cursor: an INSERT in a query of a cursor keeps its tags when a later FETCH fails in
// a savepoint, and a savepoint that is rolled back lets go of them.
func TestTagsAreHeldAsLongAsTheRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	writer, decider := newActor(t, b), newActor(t, b)
	at := position(t, b, byTags("course:7"))
	execSQL(t, b.ctx, b.pool, `CREATE FUNCTION public.write(n integer) RETURNS integer LANGUAGE plpgsql AS $$
		BEGIN
			IF n = 2 THEN RAISE EXCEPTION 'no'; END IF;
			INSERT INTO eventstream.events (stream_id, version, type, payload, metadata, partition_id)
			VALUES ('other-1', 1, 'x', '{}', '{"tags": ["course:7"]}', eventstream.partition_of('other-1', eventstream.partition_count()));
			RETURN n;
		END $$`)
	execSQL(t, b.ctx, writer.tx, `DECLARE c CURSOR FOR SELECT public.write(n) FROM generate_series(1, 2) AS n`)
	execSQL(t, b.ctx, writer.tx, `FETCH 1 FROM c`)
	execSQL(t, b.ctx, writer.tx, `SAVEPOINT s`)
	_, err := writer.tx.Exec(b.ctx, `FETCH 1 FROM c`)
	require.Error(t, err)
	execSQL(t, b.ctx, writer.tx, `ROLLBACK TO s`)
	waiting := start(func() ([]eventstream.AppendResult, error) {
		return decide(t, b.ctx, decider.repo, byTags("course:7"), at, "mine-1")
	})
	waitBlocked(t, b, decider.pid(), writer.pid())
	writer.end(t, b, true)
	requireConflict(t, (<-waiting).err, 0)
	decider.end(t, b, false)

	writer, decider = newActor(t, b), newActor(t, b)
	execSQL(t, b.ctx, writer.tx, `SAVEPOINT s`)
	require.NoError(t, insertTagged(b.ctx, writer.tx, "other-2", "x", "course:8"))
	execSQL(t, b.ctx, writer.tx, `ROLLBACK TO s`)
	_, err = decide(t, b.ctx, decider.repo, byTags("course:8"), 0, "mine-1")
	require.NoError(t, err, "nothing is held for what was rolled back")
	decider.end(t, b, true)
	writer.end(t, b, true)
}

// tagLocks is how many locks of tags and types the transaction of an actor holds, the one in place of all included.
func tagLocks(t *testing.T, b *bundle, a *actor) int64 {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_locks AS k
		WHERE k.locktype = 'advisory' AND k.classid::bigint IN (1163157863, 1163157868) AND k.objsubid = 2 AND k.pid = $1`, int64(a.pid()))
}

// Locks live in memory that all sessions share: who writes many tags takes one lock in place of all, for which decisions wait, and writers do
// not. Whatever a setting says.
func TestTagsLocksAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	many := make([]eventstream.Event, 200)
	for i := range many {
		many[i] = tagged(t, fmt.Sprintf("course:%d", i))
	}
	for name, forged := range map[string]string{"honest": "", "forged": "-1000000"} {
		writer, decider := newActor(t, b), newActor(t, b)
		execSQL(t, b.ctx, writer.tx, `SELECT set_config('eventstream.tag_locks', $1, true)`, forged)
		_, err := writer.repo.Append(b.ctx, eventstream.StreamID("many-"+name), eventstream.Empty, many...)
		require.NoError(t, err)
		if forged == "" {
			require.EqualValues(t, 1, tagLocks(t, b, writer))
		}
		given(t, b, eventstream.StreamID("beside-"+name), 1)
		_, err = b.repo.Append(b.ctx, eventstream.StreamID("tagged-"+name), eventstream.Empty, tagged(t, "course:7"))
		require.NoError(t, err)
		at := drawn(t, b)
		waiting := start(func() ([]eventstream.AppendResult, error) {
			return decide(t, b.ctx, decider.repo, byTags("course:7"), at, "mine-1")
		})
		waitBlocked(t, b, decider.pid(), writer.pid())
		writer.end(t, b, true)
		require.NoError(t, (<-waiting).err, "what the writer appended is at or below the position")
		decider.end(t, b, false)
		for i := range many {
			many[i] = tagged(t, fmt.Sprintf("course:%d", i))
		}
	}
}

// What a decision asks for it holds one by one, however much that is: writers hold nothing else. It is bounded too, by a refusal.
func TestTagsDecisionsOfManyTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	query := eventstream.Query{}
	for i := range 10 {
		item := eventstream.QueryItem{}
		for k := range 32 {
			item.Types = append(item.Types, eventstream.EventType(fmt.Sprintf("type-%d-%d", i, k)))
		}
		query = append(query, item)
	}
	first, second, writer := newActor(t, b), newActor(t, b), newActor(t, b)
	require.NoError(t, insertTagged(b.ctx, writer.tx, "written-1", "type-7-7", "x"))
	waiting := start(func() ([]eventstream.AppendResult, error) { return decide(t, b.ctx, first.repo, query, 0, "query-1") })
	waitBlocked(t, b, first.pid(), writer.pid())
	writer.end(t, b, false)
	require.NoError(t, (<-waiting).err)
	require.EqualValues(t, 321, tagLocks(t, b, first))
	waiting = start(func() ([]eventstream.AppendResult, error) {
		return decide(t, b.ctx, second.repo, byTags("course:1000"), 0, "query-2")
	})
	waitBlocked(t, b, second.pid(), first.pid())
	for i := range 2 {
		_, err := decide(t, b.ctx, first.repo, query, drawn(t, b), eventstream.StreamID(fmt.Sprintf("query-1%d", i)))
		require.NoError(t, err)
	}
	_, err := decide(t, b.ctx, first.repo, query, drawn(t, b), "query-13")
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	first.end(t, b, false)
	require.NoError(t, (<-waiting).err)
	second.end(t, b, true)
}
