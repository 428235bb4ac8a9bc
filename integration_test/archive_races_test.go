package integration_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
)

// A archives and holds. B's append waits for A, whatever A's end; a reader in one snapshot sees what it saw; a seal that is made meanwhile,
// and a raw INSERT, which takes no lock, need not wait.
func TestRaceAnArchivingAndWhoReadsAndWrites(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]bool{"Commits": true, "RollsBack": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, kept := archiveStore(t)
			before := mustLoad(t, b, "person-1").EventsFrom(1)
			archiver, appender, reader, raw := newActor(t, b), newActor(t, b), newActor(t, b), session(t, b)
			_, err := reader.tx.Exec(b.ctx, `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`)
			require.NoError(t, err)
			_, err = reader.repo.Load(b.ctx, "order-1") // takes the snapshot
			require.NoError(t, err)
			result, err := archiver.repo.Archive(b.ctx, "person-1", 5)
			require.NoError(t, err)
			require.Equal(t, int64(3), result.Events)

			appended := start(func() (eventstream.AppendResult, error) {
				return appender.repo.Append(b.ctx, "person-1", eventstream.Exact(6), anEvent(t, 7))
			})
			waitBlocked(t, b, appender.pid(), archiver.pid())
			require.Equal(t, before, mustLoad(t, b, "person-1").EventsFrom(1), "for others, nothing has moved")
			simple(t, raw, `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload)
				SELECT stream_id, 7, 'a', partition_id, '{}' FROM eventstream.events WHERE stream_id = 'order-1' AND version = 6`)
			second, sealed, err := seal.Next(b.ctx, b.pool, 100)
			require.NoError(t, err)
			require.True(t, sealed)
			archiver.end(t, b, commit)
			r := <-appended
			require.NoError(t, r.err)
			require.Equal(t, int64(7), r.value.LastVersion)
			appender.end(t, b, true)
			require.Equal(t, map[bool][2]string{true: {"1 5 6 7", "2 3 4"}, false: {"1 2 3 4 5 6 7", ""}}[commit], versionsIn(t, b, "person-1"))
			again, err := reader.repo.Load(b.ctx, "person-1")
			require.NoError(t, err)
			require.Equal(t, before, again.EventsFrom(1), "in its snapshot, where it was")
			reader.end(t, b, false)
			require.Empty(t, sealFaults(t, b, &kept))
			require.Empty(t, sealFaults(t, b, &second))
			requireAuditClean(t, b)
		})
	}
}

// An open append keeps an archiving of its stream waiting; what it appended is the last event then.
func TestRaceAnAppendAndAnArchiving(t *testing.T) {
	t.Parallel()
	b, _, _ := archiveStore(t)
	appender, archiver := newActor(t, b), newActor(t, b)
	_, err := appender.repo.Append(b.ctx, "person-1", eventstream.Exact(6), anEvent(t, 7))
	require.NoError(t, err)
	done := start(func() (eventstream.ArchiveResult, error) { return archiver.repo.Archive(b.ctx, "person-1", 100) })
	waitBlocked(t, b, archiver.pid(), appender.pid())
	appender.end(t, b, true)
	r := <-done
	require.NoError(t, r.err)
	archiver.end(t, b, true)
	require.Equal(t, [2]string{"1 7", "2 3 4 5 6"}, versionsIn(t, b, "person-1"))
	requireAuditClean(t, b)
}

// Two archive the same: the second waits, and goes on after the first, or does all of it.
func TestRaceTwoArchivings(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]bool{"FirstCommits": true, "FirstRollsBack": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, kept := archiveStore(t)
			first, second := newActor(t, b), newActor(t, b)
			_, err := first.repo.Archive(b.ctx, "person-1", 4)
			require.NoError(t, err)
			done := start(func() (eventstream.ArchiveResult, error) { return second.repo.Archive(b.ctx, "person-1", 6) })
			waitBlocked(t, b, second.pid(), first.pid())
			first.end(t, b, commit)
			r := <-done
			require.NoError(t, r.err)
			require.Equal(t, map[bool]int64{true: 2, false: 4}[commit], r.value.Events)
			second.end(t, b, true)
			require.Equal(t, [2]string{"1 6", "2 3 4 5"}, versionsIn(t, b, "person-1"))
			require.Empty(t, sealFaults(t, b, &kept))
			requireAuditClean(t, b)
		})
	}
}

// An erasure and an archiving of a stream take turns, in either order, and in a snapshot that is too old for the one that came first, the other
// is to be run again.
func TestRaceAnErasureAndAnArchiving(t *testing.T) {
	t.Parallel()
	erasure := eventstream.Erasure{StreamID: "person-1", From: 2, To: 3, Reason: "r"}
	erasing := func(b *bundle, a *actor) error { _, err := a.repo.Erase(b.ctx, erasure); return err }
	archiving := func(b *bundle, a *actor) error { _, err := a.repo.Archive(b.ctx, "person-1", 5); return err }
	for name, does := range map[string][2]func(b *bundle, a *actor) error{
		"ErasesFirst": {erasing, archiving}, "ArchivesFirst": {archiving, erasing}, "ArchivesTwice": {archiving, archiving},
	} {
		for level, isolation := range map[string]string{"ReadCommitted": "READ COMMITTED", "OneSnapshot": "REPEATABLE READ"} {
			t.Run(name+level, func(t *testing.T) {
				t.Parallel()
				b, _, kept := archiveStore(t)
				first, second := newActor(t, b), newActor(t, b)
				_, err := second.tx.Exec(b.ctx, `SET TRANSACTION ISOLATION LEVEL `+isolation)
				require.NoError(t, err)
				number(t, b.ctx, second.tx, `SELECT count(*) FROM eventstream.events`)
				require.NoError(t, does[0](b, first))
				done := start(func() (int, error) { return 0, does[1](b, second) })
				waitBlocked(t, b, second.pid(), first.pid())
				first.end(t, b, true)
				if r := <-done; level == "ReadCommitted" {
					require.NoError(t, r.err)
					second.end(t, b, true)
				} else {
					require.True(t, eventstream.SafeToRetry(r.err), "%v", r.err)
					second.end(t, b, false)
					require.NoError(t, pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error { return does[1](b, &actor{repo: repoOn(t, tx)}) }))
				}
				require.Equal(t, [2]string{"1 5 6", "2 3 4"}, versionsIn(t, b, "person-1"))
				erased := name != "ArchivesTwice"
				require.Equal(t, []bool{false, erased, erased, false, false, false}, erasedOf(mustLoad(t, b, "person-1").EventsFrom(1)))
				require.Empty(t, sealFaults(t, b, &kept))
				requireAuditClean(t, b)
			})
		}
	}
}

// Events leave the table whose keys say that they are there. In a snapshot from before, they are not in the archive either, if they are younger
// than it: nobody but the gate can refuse to write them a second time, and it does, whichever way they come.
func TestRaceAnOldSnapshotCannotRepeatWhatWasArchived(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		for name, sql := range map[string]string{
			"Version": `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload)
				SELECT stream_id, 2, 'a', partition_id, '{}' FROM eventstream.events WHERE stream_id = 'order-1' AND version = 1`,
			"ID":         `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload, event_id) VALUES ('order-2', 1, 'a', 0, '{}', $id)`,
			"IDByAppend": `SELECT eventstream.append('order-2', 'a', p_event_id => $id)`,
		} {
			t.Run(string(level)+name, func(t *testing.T) {
				t.Parallel()
				b := attachedStore(t)
				given(t, b, "order-1", 1)
				old := newActor(t, b)
				_, err := old.tx.Exec(b.ctx, `SET TRANSACTION ISOLATION LEVEL `+string(level))
				require.NoError(t, err)
				number(t, b.ctx, old.tx, `SELECT count(*) FROM eventstream.events`)
				events := someEvents(t, 3)
				_, err = b.repo.Append(b.ctx, "order-1", eventstream.Exact(1), events...)
				require.NoError(t, err)
				require.Equal(t, int64(2), archive(t, b, "order-1", 4))
				_, err = old.tx.Exec(b.ctx, withID(sql, events[0].ID))
				requireSQLState(t, err, "40001")
				require.True(t, eventstream.SafeToRetry(err))
				old.end(t, b, false)
				requireAuditClean(t, b)

				// In a new snapshot it is what it is: taken; and other events go through.
				again := newActor(t, b)
				_, err = again.tx.Exec(b.ctx, `SET TRANSACTION ISOLATION LEVEL `+string(level)+`; SAVEPOINT s`)
				require.NoError(t, err)
				_, err = again.tx.Exec(b.ctx, withID(sql, events[0].ID))
				require.Error(t, err)
				require.Contains(t, []string{"23505", "ES005"}, sqlState(err))
				_, err = again.tx.Exec(b.ctx, `ROLLBACK TO s`)
				require.NoError(t, err)
				_, err = again.repo.Append(b.ctx, "order-1", eventstream.Exact(4), anEvent(t, 5))
				require.NoError(t, err)
				// And one that archives itself may go on.
				_, err = again.repo.Archive(b.ctx, "order-1", 5)
				require.NoError(t, err)
				_, err = again.repo.Append(b.ctx, "order-1", eventstream.Exact(5), anEvent(t, 6))
				require.NoError(t, err)
				again.end(t, b, true)
				require.Equal(t, [2]string{"1 5 6", "2 3 4"}, versionsIn(t, b, "order-1"))
				requireAuditClean(t, b)
			})
		}
	}
}

// A raw INSERT of an event that is being archived waits for that to end: then the version, and the id, are as taken as before.
func TestRaceARawInsertOfWhatIsBeingArchived(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]bool{"Commits": true, "RollsBack": false} {
		for what, sql := range map[string]string{
			"Version": `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload)
				SELECT stream_id, 2, 'a', partition_id, '{}' FROM eventstream.events WHERE stream_id = 'person-1' AND version = 1`,
			"ID": `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload, event_id) VALUES ('order-2', 1, 'a', 0, '{}', $id)`,
		} {
			t.Run(what+name, func(t *testing.T) {
				t.Parallel()
				b, events, _ := archiveStore(t)
				archiver, raw := newActor(t, b), newActor(t, b)
				_, err := archiver.repo.Archive(b.ctx, "person-1", 4)
				require.NoError(t, err)
				done := start(func() (int, error) {
					_, err := raw.tx.Exec(b.ctx, withID(sql, events[1].ID))
					return 0, err
				})
				waitBlocked(t, b, raw.pid(), archiver.pid())
				archiver.end(t, b, commit)
				r := <-done
				requireSQLState(t, r.err, "23505")
				raw.end(t, b, false)
				requireAuditClean(t, b)
			})
		}
	}
}

// A reader that is in the middle of the log, or of the stream, with the next pages still to come, gets every event once when all of it is
// archived meanwhile.
func TestRaceAnArchivingAndReadersThatPage(t *testing.T) {
	t.Parallel()
	b := attachedStore(t)
	for n := range 60 {
		_, err := b.repo.Append(b.ctx, "person-1", eventstream.Exact(int64(n)), anEvent(t, n))
		require.NoError(t, err)
	}
	repo := sizedRepo(t, b.pool, 2)
	want, wantStream := readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{})), mustLoad(t, b, "person-1").EventsFrom(1)
	// A cursor's page is read when it is asked for, so what is archived between two of them is in between.
	cursor, err := repo.OpenLog(b.ctx, eventstream.LogOptions{})
	require.NoError(t, err)
	defer cursor.Close()
	var got []eventstream.LogEvent
	var stream []eventstream.Event
	for e, err := range repo.Read(b.ctx, "person-1", eventstream.ReadOptions{}) {
		require.NoError(t, err)
		stream = append(stream, e)
		page, _, err := cursor.Next(b.ctx, 1)
		require.NoError(t, err)
		got = append(got, page...)
		// Ahead of the readers, where they are, and behind them.
		archive(t, b, "person-1", int64(len(stream))+map[int]int64{0: 3, 1: 0, 2: -3}[len(stream)%3]+2)
	}
	require.Equal(t, wantStream, stream)
	require.Equal(t, want, got)
	require.Equal(t, int64(58), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.archived_events`))
}

// The first time that something is archived, the archive becomes a part of events. It waits for who reads, and a session whose plans are older
// reads both from then on. Who is between the lock of the stream and events is not waited for, since that would be for good.
func TestRaceTheArchiveIsAttachedTheFirstTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 6)
	before := mustLoad(t, b, "order-1").EventsFrom(1)
	planned, holder, archiver := repoOn(t, session(t, b)), newActor(t, b), newActor(t, b)
	for range 8 { // until the plan is kept
		_, err := planned.Load(b.ctx, "order-1")
		require.NoError(t, err)
	}
	execSQL(t, b.ctx, holder.tx, `SELECT eventstream.lock_stream('order-1')`)
	_, err := b.repo.Archive(b.ctx, "order-1", 4)
	requireSQLState(t, err, "40P01")
	require.True(t, eventstream.SafeToRetry(err))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'eventstream.events'::regclass`))
	holder.end(t, b, true)

	reader := newActor(t, b)
	_, err = reader.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	done := start(func() (eventstream.ArchiveResult, error) { return archiver.repo.Archive(b.ctx, "order-1", 4) })
	waitBlocked(t, b, archiver.pid(), reader.pid())
	reader.end(t, b, true)
	r := <-done
	require.NoError(t, r.err)
	require.Equal(t, int64(2), r.value.Events)
	archiver.end(t, b, true)
	stream, err := planned.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, before, stream.EventsFrom(1))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT eventstream.attach_archive()::integer`))
	require.Equal(t, [2]string{"1 4 5 6", "2 3"}, versionsIn(t, b, "order-1"))
	requireAuditClean(t, b)
}

// withID puts an event's id where a statement says $id.
func withID(sql string, id uuid.UUID) string {
	return strings.ReplaceAll(sql, "$id", "'"+id.String()+"'")
}
