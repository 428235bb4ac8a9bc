package integration_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// actor is a session with a transaction open, and a repository for it.
type actor struct {
	conn *pgx.Conn
	tx   pgx.Tx
	repo *eventstream.Repository
}

func (a *actor) pid() uint32 { return a.conn.PgConn().PID() }

func newActor(t *testing.T, b *bundle) *actor {
	t.Helper()
	conn := session(t, b)
	tx, err := conn.Begin(b.ctx)
	require.NoError(t, err)
	return &actor{conn: conn, tx: tx, repo: repoOn(t, tx)}
}

// end commits or rolls back.
func (a *actor) end(t *testing.T, b *bundle, commit bool) {
	t.Helper()
	if commit {
		require.NoError(t, a.tx.Commit(b.ctx))
	} else {
		require.NoError(t, a.tx.Rollback(b.ctx))
	}
}

// Two creators of one stream: A appends and holds, B waits for A. If A commits, B gets its conflict as a row, and its
// transaction still works; if A rolls back, B creates the stream.
func TestRaceTwoCreatorsOfOneStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		many   bool
		commit bool
	}{
		"FirstCommits":           {commit: true},
		"FirstRollsBack":         {},
		"InABatchFirstCommits":   {many: true, commit: true},
		"InABatchFirstRollsBack": {many: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			first, second := newActor(t, b), newActor(t, b)
			mine, theirs, beside := anEvent(t, 1), anEvent(t, 2), anEvent(t, 3)
			_, err := second.repo.Append(b.ctx, "own-1", eventstream.Empty, anEvent(t, 1))
			require.NoError(t, err)
			_, err = first.repo.Append(b.ctx, "new-1", eventstream.Empty, mine)
			require.NoError(t, err)
			position := drawn(t, b)

			waiting := start(func() (any, error) {
				if !c.many {
					return second.repo.Append(b.ctx, "new-1", eventstream.Empty, theirs)
				}
				return appendBatch(b.ctx, second.tx, false,
					request{stream: "new-1", expected: empty, events: []eventstream.Event{theirs}},
					request{stream: "beside-1", expected: empty, events: []eventstream.Event{beside}})
			})
			waitBlocked(t, b, second.pid(), first.pid())
			require.Equal(t, position, drawn(t, b), "no position is drawn by who waits")
			first.end(t, b, c.commit)
			got := <-waiting

			switch {
			case c.many && c.commit:
				require.NoError(t, got.err)
				require.Equal(t, []string{"1 stream_exists -..- at 1/1", "2 appended 1..1 at 1/1"}, got.value,
					"nobody else in the batch notices")
			case c.many:
				require.NoError(t, got.err)
				require.Equal(t, []string{"1 appended 1..1 at 1/1", "2 appended 1..1 at 1/1"}, got.value)
			case c.commit:
				var there *eventstream.StreamExistsError
				require.ErrorAs(t, got.err, &there)
				require.Equal(t, eventstream.StreamExistsError{StreamID: "new-1", Actual: 1}, *there)
				require.Equal(t, position, drawn(t, b), "the loser burns no number")
			default:
				require.NoError(t, got.err)
			}
			_, err = second.repo.Append(b.ctx, "own-1", eventstream.Exact(1), anEvent(t, 2))
			require.NoError(t, err, "the loser's transaction still works")
			second.end(t, b, true)
			if c.commit {
				requireHolds(t, b, "new-1", mine)
			} else {
				requireHolds(t, b, "new-1", theirs)
			}
			require.Len(t, readAll(t, b.repo.Read(b.ctx, "own-1", eventstream.ReadOptions{})), 2)
			requireAuditClean(t, b)
		})
	}
}

// Two creators whose expectation the other's stream meets: both append, one after the other.
func TestRaceTwoCreatorsWithAny(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := newActor(t, b), newActor(t, b)
	events := someEvents(t, 2)
	_, err := first.repo.Append(b.ctx, "new-1", eventstream.Any, events[0])
	require.NoError(t, err)
	waiting := start(func() (eventstream.AppendResult, error) {
		return second.repo.Append(b.ctx, "new-1", eventstream.Any, events[1])
	})
	waitBlocked(t, b, second.pid(), first.pid())
	first.end(t, b, true)
	got := <-waiting
	require.NoError(t, got.err)
	require.Equal(t, eventstream.AppendResult{FirstVersion: 2, LastVersion: 2, LastPosition: 2, CurrentVersion: 2}, got.value)
	second.end(t, b, true)
	requireHolds(t, b, "new-1", events...)
	requireAuditClean(t, b)
}

// Two appenders at one version: exactly one wins; the loser's transaction still works, and no position was burnt.
func TestRaceTwoAppendersAtOneVersion(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]bool{"FirstCommits": true, "FirstRollsBack": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			old := given(t, b, "order-1", 2)
			first, second := newActor(t, b), newActor(t, b)
			mine, theirs, after := anEvent(t, 1), anEvent(t, 2), anEvent(t, 3)
			_, err := first.repo.Append(b.ctx, "order-1", eventstream.Exact(2), mine)
			require.NoError(t, err)
			position := drawn(t, b)
			waiting := start(func() (eventstream.AppendResult, error) {
				return second.repo.Append(b.ctx, "order-1", eventstream.Exact(2), theirs)
			})
			waitBlocked(t, b, second.pid(), first.pid())
			require.Equal(t, position, drawn(t, b))
			first.end(t, b, commit)
			got := <-waiting
			if !commit {
				require.NoError(t, got.err)
				second.end(t, b, true)
				requireHolds(t, b, "order-1", append(old, theirs)...)
				requireAuditClean(t, b)
				return
			}
			var conflict *eventstream.VersionConflictError
			require.ErrorAs(t, got.err, &conflict)
			require.Equal(t, eventstream.VersionConflictError{StreamID: "order-1", Expected: 2, Actual: 3}, *conflict)
			require.Equal(t, position, drawn(t, b), "the loser burns no number")
			_, err = second.repo.Append(b.ctx, "order-1", eventstream.Exact(3), after)
			require.NoError(t, err, "the loser's transaction still works")
			second.end(t, b, true)
			requireHolds(t, b, "order-1", append(old, mine, after)...)
			require.Equal(t, int64(4), drawn(t, b))
			requireAuditClean(t, b)
		})
	}
}

// The same append at once from two callers, as when a client tried again before the first try was over: one is the duplicate.
func TestRaceAnAppendAndItsRetry(t *testing.T) {
	t.Parallel()
	for name, expected := range onNew {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			first, second := newActor(t, b), newActor(t, b)
			events := someEvents(t, 2)
			want, err := first.repo.Append(b.ctx, "order-1", expected, events...)
			require.NoError(t, err)
			waiting := start(func() (eventstream.AppendResult, error) {
				return second.repo.Append(b.ctx, "order-1", expected, events...)
			})
			waitBlocked(t, b, second.pid(), first.pid())
			first.end(t, b, true)
			got := <-waiting
			require.NoError(t, got.err)
			want.Duplicate = true
			require.Equal(t, want, got.value)
			second.end(t, b, true)
			requireHolds(t, b, "order-1", events...)
			requireAuditClean(t, b)
		})
	}
}

// One event id on two streams at once: the second waits, and is refused.
func TestRaceOneEventIDOnTwoStreams(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := newActor(t, b), newActor(t, b)
	e := anEvent(t, 1)
	_, err := first.repo.Append(b.ctx, "order-1", eventstream.Empty, e)
	require.NoError(t, err)
	waiting := start(func() (eventstream.AppendResult, error) {
		return second.repo.Append(b.ctx, "order-2", eventstream.Empty, e)
	})
	waitBlocked(t, b, second.pid(), first.pid())
	first.end(t, b, true)
	got := <-waiting
	require.ErrorIs(t, got.err, eventstream.ErrEventIDConflict)
	second.end(t, b, false)
	requireHolds(t, b, "order-1", e)
	requireAuditClean(t, b)
}

// Two batches over the same streams in opposite order: who waits for the lock of a stream holds none that comes after it in order of the
// keys, so no circle can close.
func TestRaceBatchesInOppositeOrder(t *testing.T) {
	t.Parallel()
	for name, old := range map[string]bool{"OldStreams": true, "NewStreams": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			streams := texts(t, b, `SELECT s FROM unnest('{a-1,b-1,c-1}'::text[]) AS s ORDER BY eventstream.stream_key(s)`)
			low, middle, high := streams[0], streams[1], streams[2]
			expected, wire := eventstream.Expected(eventstream.Empty), empty
			want := []string{"1 stream_exists -..- at 1/1", "2 stream_exists -..- at 1/1", "3 appended 1..1 at 1/1"}
			if old {
				given(t, b, "a-1", 1)
				given(t, b, "b-1", 1)
				given(t, b, "c-1", 1)
				expected, wire = eventstream.Exact(1), 1
				want = []string{"1 version_conflict -..- at 2/2", "2 version_conflict -..- at 2/2", "3 appended 2..2 at 2/2"}
			}
			first, second := newActor(t, b), newActor(t, b)
			// A holds the middle one, and will want the high one; B wants all of them, takes the low one, and waits for the middle one.
			_, err := first.repo.Append(b.ctx, eventstream.StreamID(middle), expected, anEvent(t, 1))
			require.NoError(t, err)
			waiting := start(func() ([]string, error) {
				return appendBatch(b.ctx, second.tx, false,
					request{stream: high, expected: wire, events: someEvents(t, 1)},
					request{stream: middle, expected: wire, events: someEvents(t, 1)},
					request{stream: low, expected: wire, events: someEvents(t, 1)})
			})
			waitBlocked(t, b, second.pid(), first.pid())
			_, err = first.repo.Append(b.ctx, eventstream.StreamID(high), expected, anEvent(t, 1))
			require.NoError(t, err, "what comes after it in order is not held by who waits for it")
			first.end(t, b, true)
			got := <-waiting
			require.NoError(t, got.err)
			require.Equal(t, want, got.value)
			second.end(t, b, true)
			requireAuditClean(t, b)
		})
	}
}

// Raw INSERTs of versions n and n+1 whose positions come out crossed: B draws its position for version 2 and is held up; A
// draws a later one for version 1 and commits; B goes on and is refused, since positions must rise with versions.
func TestRaceCrossedPositionsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gatekeeper, second := session(t, b), newActor(t, b)
	execSQL(t, b.ctx, gatekeeper, `SELECT pg_advisory_lock(42)`)
	// The columns are computed in the table's order: position first, then the payload, which waits.
	waiting := start(func() (any, error) {
		return second.tx.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			VALUES ('order-1', 2, 3, 'a.b', to_jsonb(pg_advisory_xact_lock(42)::text))`)
	})
	waitBlocked(t, b, second.pid(), gatekeeper.PgConn().PID())
	require.Equal(t, int64(1), drawn(t, b), "B drew position 1 for version 2")

	_, err := b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		VALUES ('order-1', 1, 3, 'a.b', '1')`)
	require.NoError(t, err)
	execSQL(t, b.ctx, gatekeeper, `SELECT pg_advisory_unlock(42)`)
	got := <-waiting
	refusal := requireSQLState(t, got.err, "ES006")
	require.JSONEq(t, `{"stream_id": "order-1", "version": 2, "position": 1, "last_position": 2}`, refusal.Detail)
	require.True(t, eventstream.SafeToRetry(got.err))
	second.end(t, b, false)

	execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		VALUES ('order-1', 2, 3, 'a.b', '2')`)
	require.Equal(t, []int64{1, 2}, versionsOf(readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}))))
	requireAuditClean(t, b)
}

const rawInsert = `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
	VALUES ($1::text, $2, eventstream.partition_of($1::text, 32), 'raw.inserted', '1')`

// The writers of a stream that race in TestRaceWritersOfOneStream, each of version 2 of order-1.
func writers(t *testing.T) map[string]func(ctx context.Context, a *actor) error {
	return map[string]func(ctx context.Context, a *actor) error{
		"Append": func(ctx context.Context, a *actor) error {
			_, err := a.repo.Append(ctx, "order-1", eventstream.Exact(1), anEvent(t, 2))
			return err
		},
		"Ingest": func(ctx context.Context, a *actor) error {
			_, err := a.repo.Ingest(ctx, "order-1", numbered(t, 2)[1])
			return err
		},
		"Insert": func(ctx context.Context, a *actor) error {
			_, err := a.tx.Exec(ctx, rawInsert, "order-1", 2)
			return err
		},
	}
}

// Append, ingest and raw INSERT race each other for one version, in each pair and order: the second waits, and exactly one of
// the two is there afterwards; the loser hears so.
func TestRaceWritersOfOneStream(t *testing.T) {
	t.Parallel()
	for firstName := range writers(t) {
		for secondName := range writers(t) {
			for end, commit := range map[string]bool{"Commits": true, "RollsBack": false} {
				t.Run(firstName+end+"Before"+secondName, func(t *testing.T) {
					t.Parallel()
					b := setup(t)
					given(t, b, "order-1", 1)
					first, second := newActor(t, b), newActor(t, b)
					require.NoError(t, writers(t)[firstName](b.ctx, first))
					waiting := start(func() (any, error) { return nil, writers(t)[secondName](b.ctx, second) })
					waitBlocked(t, b, second.pid(), first.pid())
					first.end(t, b, commit)
					got := <-waiting
					if commit {
						require.Error(t, got.err)
						require.False(t, eventstream.SafeToRetry(got.err))
						if secondName != "Insert" {
							require.ErrorIs(t, got.err, eventstream.ErrVersionConflict)
						}
						second.end(t, b, false)
					} else {
						require.NoError(t, got.err)
						second.end(t, b, true)
					}
					require.Equal(t, []int64{1, 2}, versionsOf(readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}))))
					requireAuditClean(t, b)
				})
			}
		}
	}
}

// Ingest of a later version waits for who appends, and then joins on to it.
func TestRaceIngestOfTheNextVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := newActor(t, b), newActor(t, b)
	events := numbered(t, 2)
	_, err := first.repo.Append(b.ctx, "order-1", eventstream.Empty, events[0])
	require.NoError(t, err)
	waiting := start(func() (eventstream.IngestResult, error) { return second.repo.Ingest(b.ctx, "order-1", events[1]) })
	waitBlocked(t, b, second.pid(), first.pid())
	first.end(t, b, true)
	got := <-waiting
	require.NoError(t, got.err)
	require.Equal(t, eventstream.IngestResult{Appended: 1, Watermark: 2, CurrentVersion: 2}, got.value)
	second.end(t, b, true)
	requireHolds(t, b, "order-1", events...)
	requireAuditClean(t, b)
}

// Callers whose snapshot is older than the stream's last event get 40001, which SafeToRetry knows, and never do damage.
func TestRaceUnderStricterIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		for name, write := range map[string]func(ctx context.Context, repo *eventstream.Repository, id eventstream.StreamID, e eventstream.Event) error{
			"Append": func(ctx context.Context, repo *eventstream.Repository, id eventstream.StreamID, e eventstream.Event) error {
				_, err := repo.Append(ctx, id, eventstream.Any, e)
				return err
			},
			"AppendMany": func(ctx context.Context, repo *eventstream.Repository, id eventstream.StreamID, e eventstream.Event) error {
				_, err := repo.AppendMany(ctx,
					eventstream.AppendRequest{StreamID: "beside-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
					eventstream.AppendRequest{StreamID: id, Expected: eventstream.Any, Events: []eventstream.Event{e}})
				return err
			},
			"Ingest": func(ctx context.Context, repo *eventstream.Repository, id eventstream.StreamID, e eventstream.Event) error {
				e.Version = 2
				_, err := repo.Ingest(ctx, id, e)
				return err
			},
		} {
			for streamName, id := range map[string]eventstream.StreamID{"Old": "old-1", "New": "new-1"} {
				t.Run(string(level)+name+streamName, func(t *testing.T) {
					t.Parallel()
					b := setup(t)
					given(t, b, "old-1", 1)
					conn := session(t, b)
					begin := func() pgx.Tx {
						tx, err := conn.BeginTx(b.ctx, pgx.TxOptions{IsoLevel: level})
						require.NoError(t, err)
						number(t, b.ctx, tx, `SELECT count(*) FROM eventstream.streams`) // takes the snapshot
						return tx
					}
					tx := begin()
					_, err := b.repo.Append(b.ctx, id, eventstream.Any, anEvent(t, 1))
					require.NoError(t, err)
					mine := anEvent(t, 2)
					err = write(b.ctx, repoOn(t, tx), id, mine)
					if name == "Ingest" && id == "new-1" {
						requireWaitsUntilAdvanced(t, b, tx, err, id)
						return
					}
					requireSQLState(t, err, "40001")
					require.True(t, eventstream.SafeToRetry(err))
					require.NoError(t, tx.Rollback(b.ctx))
					requireAuditClean(t, b)

					// Again, as told: it goes through, unless the version is taken by now.
					tx = begin()
					err = write(b.ctx, repoOn(t, tx), id, mine)
					if name == "Ingest" && id == "old-1" {
						require.ErrorIs(t, err, eventstream.ErrVersionConflict)
						require.NoError(t, tx.Rollback(b.ctx))
					} else {
						require.NoError(t, err)
						require.NoError(t, tx.Commit(b.ctx))
					}
					requireAuditClean(t, b)
				})
			}
		}
	}
}

// requireWaitsUntilAdvanced: to a snapshot that cannot see version 1, version 2 is ahead of a hole, and waits. It is not lost: the audit
// shows it and says what to call, and the stream's next append or ingest calls that too.
func requireWaitsUntilAdvanced(t *testing.T, b *bundle, tx pgx.Tx, err error, id eventstream.StreamID) {
	t.Helper()
	require.NoError(t, err)
	require.NoError(t, tx.Commit(b.ctx))
	require.Equal(t, []string{"pending " + string(id) + ": waits for nothing: call advance_watermark"}, auditProblems(t, b.pool))
	watermark, err := b.repo.AdvanceWatermark(b.ctx, id)
	require.NoError(t, err)
	require.EqualValues(t, 2, watermark)
	requireAuditClean(t, b)
}

// Savepoints: what is rolled back to one is gone, new streams included, and the transaction goes on from what was there.
func TestRaceSavepointsRollBackStreamsToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	kept := someEvents(t, 2)
	inTx(t, b, func(tx pgx.Tx) {
		_, err := b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Empty, kept[0])
		require.NoError(t, err)
		for range 3 {
			inner, err := tx.Begin(b.ctx)
			require.NoError(t, err)
			_, err = b.repo.WithTx(inner).Append(b.ctx, "order-1", eventstream.Exact(1), anEvent(t, 9))
			require.NoError(t, err)
			_, err = b.repo.WithTx(inner).Append(b.ctx, "order-2", eventstream.Empty, anEvent(t, 9))
			require.NoError(t, err)
			_, err = b.repo.WithTx(inner).Ingest(b.ctx, "order-1", numbered(t, 5)[4])
			require.NoError(t, err)
			require.NoError(t, inner.Rollback(b.ctx))
		}
		_, err = b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Exact(1), kept[1])
		require.NoError(t, err)
	})
	requireHolds(t, b, "order-1", kept...)
	_, err := b.repo.Stream(b.ctx, "order-2")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
	requireAuditClean(t, b)
}
