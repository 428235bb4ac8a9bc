package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/pgserver"
)

// archiveStore has two streams whose events alternate in the log: person-1 with six events of a person, order-1 with six more, all sealed.
func archiveStore(t *testing.T) (b *bundle, events []eventstream.Event, kept seal.Kept) {
	t.Helper()
	b = attachedStore(t)
	for n := range 6 {
		events = append(events, aPerson(t, n+1))
		_, err := b.repo.Append(b.ctx, "person-1", eventstream.Exact(int64(n)), events[n])
		require.NoError(t, err)
		_, err = b.repo.Append(b.ctx, "order-1", eventstream.Exact(int64(n)), anEvent(t, n+1))
		require.NoError(t, err)
	}
	kept, sealed, err := seal.Next(b.ctx, b.pool, 100)
	require.NoError(t, err)
	require.True(t, sealed)
	return b, events, kept
}

// attachedStore is a store whose archive is attached, as after the first time that something was archived.
func attachedStore(t *testing.T, options ...bundleOption) *bundle {
	t.Helper()
	b := setup(t, options...)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.attach_archive()`)
	return b
}

func archive(t testing.TB, b *bundle, id eventstream.StreamID, before int64) int64 {
	t.Helper()
	result, err := b.repo.Archive(b.ctx, id, before)
	require.NoError(t, err)
	return result.Events
}

// versionsIn is where the versions of a stream are: those in events, and those in the archive.
func versionsIn(t testing.TB, b *bundle, id eventstream.StreamID) [2]string {
	t.Helper()
	const list = `SELECT coalesce(string_agg(version::text, ' ' ORDER BY version), '') FROM `
	return [2]string{
		texts(t, b, list+`ONLY eventstream.events WHERE stream_id = $1`, string(id))[0],
		texts(t, b, list+`eventstream.archived_events WHERE stream_id = $1`, string(id))[0],
	}
}

// everyReading is what all readers give, by name.
func everyReading(t testing.TB, b *bundle) map[string]any {
	t.Helper()
	stream := mustLoad(t, b, "person-1")
	partition := stream.PartitionKey().ID
	onSnapshot, found, err := b.repo.LoadOnSnapshot(b.ctx, "person-1", tallyKind)
	require.NoError(t, err)
	head, err := b.repo.LogHead(b.ctx)
	require.NoError(t, err)
	count, err := b.repo.CountStreams(b.ctx, eventstream.StreamFilter{})
	require.NoError(t, err)
	query := eventstream.Query{{Tags: []string{"name:" + personal}}}
	byTags, _, err := b.repo.ReadQuery(b.ctx, query, 0)
	require.NoError(t, err)
	stats, err := b.repo.PartitionStats(b.ctx)
	require.NoError(t, err)
	log := func(opts eventstream.LogOptions) []eventstream.LogEvent {
		return readAll(t, b.repo.ReadLog(b.ctx, opts))
	}
	return map[string]any{
		"Load":               stream.EventsFrom(1),
		"head":               []any{stream.CurrentVersion(), stream.Watermark(), stream.CreatedAt(), stream.UpdatedAt(), stream.TenantID(), partition},
		"Read":               readAll(t, b.repo.Read(b.ctx, "person-1", eventstream.ReadOptions{})),
		"Read from 3":        readAll(t, b.repo.Read(b.ctx, "person-1", eventstream.ReadOptions{From: 3, Limit: 2})),
		"Read backwards":     readAll(t, b.repo.Read(b.ctx, "person-1", eventstream.ReadOptions{Backwards: true})),
		"snapshot":           []any{onSnapshot.EventsFrom(1), onSnapshot.CurrentVersion(), found.Status},
		"Event":              mustEvent(t, b, stream.EventsFrom(3)[0].ID),
		"log":                log(eventstream.LogOptions{}),
		"log backwards":      log(eventstream.LogOptions{Backwards: true}),
		"log of a partition": log(eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: []int{partition}}}),
		"log of a category":  log(eventstream.LogOptions{Filter: eventstream.LogFilter{Category: "person"}}),
		"log of a type":      log(eventstream.LogOptions{Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.placed"}}}),
		"log from a number":  log(eventstream.LogOptions{From: eventstream.FromSequence(5)}),
		"LogHead":            head,
		"streams":            readAll(t, b.repo.Streams(b.ctx, eventstream.StreamFilter{})),
		"count":              count,
		"by tags":            byTags,
		"partitions":         stats,
		"SQL": texts(t, b, `SELECT concat_ws(' ', position, stream_id, version, event_id, type, payload, encode(data, 'hex'), metadata, recorded_at)
			FROM eventstream.events ORDER BY position`),
	}
}

// What is archived changes its place and nothing else, for every reader. The first and the last event of the stream stay, whatever is asked
// for; seals from before, and the audit, find nothing.
func TestArchivedEventsAreReadAsBefore(t *testing.T) {
	t.Parallel()
	b, events, kept := archiveStore(t)
	saved, err := b.repo.SaveSnapshot(b.ctx, eventstream.Snapshot{
		Kind: tallyKind, StreamID: "person-1", Version: 3, EventID: events[2].ID, State: []byte("state"),
	})
	require.NoError(t, err)
	require.True(t, saved)
	before := everyReading(t, b)
	for _, step := range []struct {
		before, moved int64
		want          [2]string
	}{
		{1, 0, [2]string{"1 2 3 4 5 6", ""}},
		{2, 0, [2]string{"1 2 3 4 5 6", ""}},
		{4, 2, [2]string{"1 4 5 6", "2 3"}},
		{4, 0, [2]string{"1 4 5 6", "2 3"}},
		{3, 0, [2]string{"1 4 5 6", "2 3"}},
		{5, 1, [2]string{"1 5 6", "2 3 4"}},
		{1000, 1, [2]string{"1 6", "2 3 4 5"}},
		{1000, 0, [2]string{"1 6", "2 3 4 5"}},
	} {
		require.Equal(t, step.moved, archive(t, b, "person-1", step.before))
		require.Equal(t, step.want, versionsIn(t, b, "person-1"))
		for name, is := range everyReading(t, b) {
			require.Equal(t, before[name], is, "%s, after archiving what is before %d", name, step.before)
		}
		require.Empty(t, sealFaults(t, b, &kept))
		requireAuditClean(t, b)
	}
	require.Len(t, before["by tags"], 6)
	proof, err := seal.Prove(b.ctx, b.pool, "person-1", 3, kept)
	require.NoError(t, err)
	require.NoError(t, proof.Verify(kept))

	// Streams go on, and what is archived after it was sealed, or sealed after it was archived, is one to the seals.
	_, err = b.repo.Append(b.ctx, "person-1", eventstream.Exact(6), anEvent(t, 7), anEvent(t, 8))
	require.NoError(t, err)
	require.Equal(t, int64(2), archive(t, b, "person-1", 8))
	require.Equal(t, [2]string{"1 8", "2 3 4 5 6 7"}, versionsIn(t, b, "person-1"))
	second, sealed, err := seal.Next(b.ctx, b.pool, 100)
	require.NoError(t, err)
	require.True(t, sealed)
	require.Empty(t, sealFaults(t, b, &second))
	findings, err := b.repo.RunAudit(b.ctx, true)
	require.NoError(t, err)
	require.Empty(t, findings)
	_, err = b.repo.CloseStream(b.ctx, "person-1", eventstream.Exists, "done")
	require.NoError(t, err)
	require.Equal(t, int64(1), archive(t, b, "person-1", 9))
	_, err = b.repo.Append(b.ctx, "person-1", eventstream.Any, anEvent(t, 10))
	require.ErrorIs(t, err, eventstream.ErrStreamClosed)
}

func TestArchiveRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	b, _, _ := archiveStore(t)
	verify := untouched(t, b)
	for args, says := range map[string]string{
		`NULL, 3`:                 "stream_id",
		`'', 3`:                   "stream_id",
		`'person-1', NULL`:        "before_version",
		`'person-1', 0`:           "before_version",
		`'person-1', -1`:          "before_version",
		`'person-1', 3, 0`:        "max_events",
		`'person-1', 3, 1000001`:  "max_events",
		`'person-1', 3, NULL`:     "max_events",
		`'person-1', 3, -2000000`: "max_events",
	} {
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.archive(`+args+`)`)
		require.Contains(t, requireSQLState(t, err, "ES008").Message, says, args)
	}
	for name, call := range map[string]func() (eventstream.ArchiveResult, error){
		"no stream": func() (eventstream.ArchiveResult, error) { return b.repo.Archive(b.ctx, "", 3) },
		"version 0": func() (eventstream.ArchiveResult, error) { return b.repo.Archive(b.ctx, "person-1", 0) },
		"for one tenant": func() (eventstream.ArchiveResult, error) {
			return b.repo.ForTenant("default").Archive(b.ctx, "person-1", 3)
		},
		"another tenant's": func() (eventstream.ArchiveResult, error) {
			return b.repo.ForTenant(rival).Archive(b.ctx, "person-9", 3)
		},
	} {
		result, err := call()
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		require.Zero(t, result, name)
	}
	_, err := b.pool.Exec(b.ctx, `SELECT eventstream.archive('person-9', 3)`)
	require.Contains(t, requireSQLState(t, err, "ES018").Message, "'person-9'")
	_, err = b.repo.Archive(b.ctx, "person-9", 3)
	requireNotFound(t, err, "person-9")
	verify()
	require.Equal(t, [2]string{"1 2 3 4 5 6", ""}, versionsIn(t, b, "person-1"))
}

// For a tenant, archiving and erasure are refused before anything is looked at: whose a stream is, and whether it is there, changes no word.
func TestRetentionForATenantSaysNothingOfStreams(t *testing.T) {
	t.Parallel()
	b, _, _ := archiveStore(t)
	said := map[string]bool{}
	for _, id := range []eventstream.StreamID{"person-1", "person-9"} {
		for _, tenant := range []eventstream.TenantID{"default", rival} {
			repo := b.repo.ForTenant(tenant)
			_, archived := repo.Archive(b.ctx, id, 3)
			_, erased := repo.Erase(b.ctx, eventstream.Erasure{StreamID: id, From: 1, Reason: "r"})
			for _, err := range []error{archived, erased} {
				require.ErrorIs(t, err, eventstream.ErrInvalidValue)
				require.ErrorContains(t, err, "call it on the one that ForTenant was called on")
				said[strings.ReplaceAll(err.Error(), string(tenant), "TENANT")] = true
			}
		}
	}
	require.Len(t, said, 2, "one for each call")
}

// An append that is repeated and an event that is delivered again are known, and an id that is used is used, also where it is archived.
func TestArchiveKnowsWhatIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	b, events, _ := archiveStore(t)
	require.Equal(t, int64(4), archive(t, b, "person-1", 100))
	unchanged := unwritten(t, b)
	again, err := b.repo.Append(b.ctx, "person-1", eventstream.Any, events[2])
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, int64(3), again.FirstVersion)
	again, err = b.repo.Append(b.ctx, "person-1", eventstream.Empty, events...)
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, [2]int64{1, 6}, [2]int64{again.FirstVersion, again.LastVersion})
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Any, events[2])
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	other := anEvent(t, 9)
	other.ID = events[2].ID
	_, err = b.repo.Append(b.ctx, "person-1", eventstream.Any, other)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)

	delivered := readAll(t, b.repo.Read(b.ctx, "person-1", eventstream.ReadOptions{}))
	ingested, err := b.repo.Ingest(b.ctx, "person-1", delivered...)
	require.NoError(t, err)
	require.Equal(t, int64(6), ingested.Duplicates)
	contradicting := anEvent(t, 9)
	contradicting.Version = 3
	_, err = b.repo.Ingest(b.ctx, "person-1", contradicting)
	require.ErrorIs(t, err, eventstream.ErrVersionConflict)
	elsewhere := events[2]
	elsewhere.Version = 7
	_, err = b.repo.Ingest(b.ctx, "order-1", elsewhere)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)

	// A decision whose query matches an archived event is refused, and one that was made before is known.
	query := eventstream.Query{{Tags: []string{"name:" + personal}}}
	_, err = b.repo.AppendIf(b.ctx, query, 2, eventstream.AppendRequest{
		StreamID: "order-2", Expected: eventstream.Empty, Events: someEvents(t, 1),
	})
	require.ErrorIs(t, err, eventstream.ErrDecisionConflict)
	unchanged()
	requireAuditClean(t, b)
}

// A person who asks to be forgotten is forgotten in the archive as well, and stays so: in either order, with seals that stay valid.
func TestErasureReachesTheArchive(t *testing.T) {
	t.Parallel()
	b, events, kept := archiveStore(t)
	require.Equal(t, int64(1), erase(t, b, 3, 3))
	require.Equal(t, int64(3), archive(t, b, "person-1", 5))
	require.Equal(t, int64(4), erase(t, b, 1, 5), "in both tables at once")
	require.Zero(t, erase(t, b, 1, 5))
	require.Equal(t, []bool{true, true, true, true, true, false}, erasedOf(mustLoad(t, b, "person-1").EventsFrom(1)))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.archived_events AS a WHERE a::text LIKE '%`+personal+`%'`))
	require.Equal(t, int64(5), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.erasures`))
	require.Empty(t, sealFaults(t, b, &kept))
	again, err := b.repo.Append(b.ctx, "person-1", eventstream.Any, events[3])
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, int64(1), erase(t, b, 6, 6))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.find_matching($1::jsonb, 0, 100, 10)`,
		`[{"tags": ["name:`+personal+`"]}]`))
	requireAuditClean(t, b)
}

// A call that a kill ended in the middle is made again: it goes on where the last whole batch ended.
func TestArchiveGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	b := attachedStore(t)
	given(t, b, "order-1", 2500)
	before := mustLoad(t, b, "order-1").EventsFrom(1)
	killed := newActor(t, b)
	require.Equal(t, int64(1000), number(t, b.ctx, b.pool, `SELECT eventstream.archive('order-1', 2400, 1000)`))
	require.Equal(t, int64(700), number(t, b.ctx, killed.tx, `SELECT eventstream.archive('order-1', 2400, 700)`))
	again := start(func() (eventstream.ArchiveResult, error) { return b.repo.Archive(b.ctx, "order-1", 2400) })
	require.Eventually(t, func() bool {
		return number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 1
	}, blockTimeout, 5*time.Millisecond)
	execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend($1)`, int32(killed.pid()))
	r := <-again
	require.NoError(t, r.err)
	require.Equal(t, int64(1398), r.value.Events)
	require.Equal(t, int64(2398), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.archived_events`))
	require.Equal(t, int64(102), number(t, b.ctx, b.pool, `SELECT count(*) FROM ONLY eventstream.events`))
	require.Equal(t, before, mustLoad(t, b, "order-1").EventsFrom(1))
	requireAuditClean(t, b)
}

// A canceled call says what it moved, and that is moved for good.
func TestArchiveSaysWhatItMovedWhereItFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2500)
	execSQL(t, b.ctx, b.pool, `CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$;
		CREATE TRIGGER fail BEFORE INSERT ON eventstream.archived_events FOR EACH ROW WHEN (new.version > 1500) EXECUTE FUNCTION public.fail()`)
	result, err := b.repo.Archive(b.ctx, "order-1", 2400)
	require.ErrorContains(t, err, "no room")
	require.Equal(t, int64(1000), result.Events, "the second batch failed")
	require.EqualValues(t, 1000, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.archived_events`))
	execSQL(t, b.ctx, b.pool, `DROP TRIGGER fail ON eventstream.archived_events`)
	require.Equal(t, int64(1398), archive(t, b, "order-1", 2400))
}

// The end of the context meets the commit of a batch. The batch is moved, and counted.
func TestArchiveCountsTheBatchWhoseCommitTheEndMeets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2500)
	result := endedAtCommit(t, b, func(ctx context.Context, repo *eventstream.Repository) (eventstream.ArchiveResult, error) {
		return repo.Archive(ctx, "order-1", 2400)
	})
	require.EqualValues(t, 1000, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.archived_events`))
	require.Equal(t, int64(1000), result.Events)
}

// A subscription that begins at the beginning gets every event once and in order, whatever is archived before and meanwhile; so does one of
// some partitions, and one that is reset.
func TestArchivedEventsAreReplayedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 200 {
		id := eventstream.StreamID(fmt.Sprintf("order-%d", n%7))
		_, err := b.repo.Append(b.ctx, id, eventstream.Any, someEvents(t, 3)...)
		require.NoError(t, err)
	}
	archive(t, b, "order-1", 50)
	archive(t, b, "order-2", 1000)
	handled := newJournal()
	s, err := subscription.New(b.repo, "reader", subscription.EffectHandler(handled.effect), &subscription.Config{BatchSize: 7, Shards: 3})
	require.NoError(t, err)
	stop := keepRunning(t, b, s)
	for n := range 7 {
		archive(t, b, eventstream.StreamID(fmt.Sprintf("order-%d", n)), 60)
	}
	require.NoError(t, s.WaitFor(b.ctx, drawn(t, b)))
	stop()
	reader := &logReader{name: "subscription", journal: handled, selects: everything, apart: true}
	requireSawAll(t, reader, committedEvents(t, b))
	require.NoError(t, subscription.Reset(b.ctx, b.repo, "reader", eventstream.FromBeginning))
	handled = newJournal()
	s, err = subscription.New(b.repo, "reader", subscription.EffectHandler(handled.effect), &subscription.Config{Shards: 3})
	require.NoError(t, err)
	stop = keepRunning(t, b, s)
	require.NoError(t, s.WaitFor(b.ctx, drawn(t, b)))
	stop()
	reader.journal = handled
	requireSawAll(t, reader, committedEvents(t, b))
	requireAuditClean(t, b)
}

// The archive may lie on other disks. The rules that hold the store say nothing of where it lies.
func TestTheArchiveHasATablespaceOfItsOwn(t *testing.T) {
	t.Parallel()
	b, events, kept := archiveStore(t)
	before := mustLoad(t, b, "person-1").EventsFrom(1)
	conn := session(t, b)
	space := "archive_" + uuid.NewString()[:8]
	simple(t, conn, `SET allow_in_place_tablespaces = on`, `CREATE TABLESPACE `+space+` LOCATION ''`)
	t.Cleanup(func() {
		execSQL(t, context.Background(), b.pool, `ALTER TABLE eventstream.archived_events SET TABLESPACE pg_default`)
		execSQL(t, context.Background(), b.pool, `DROP TABLESPACE `+space)
	})
	simple(t, conn, `ALTER TABLE eventstream.archived_events SET TABLESPACE `+space)
	require.Equal(t, int64(4), archive(t, b, "person-1", 100))
	require.Equal(t, []string{space}, texts(t, b, `SELECT s.spcname::text FROM pg_class AS c JOIN pg_tablespace AS s ON s.oid = c.reltablespace
		WHERE c.oid = 'eventstream.archived_events'::regclass`))
	require.Equal(t, before, mustLoad(t, b, "person-1").EventsFrom(1))
	require.Equal(t, events[2].ID, before[2].ID)
	require.Empty(t, sealFaults(t, b, &kept))
	requireAuditClean(t, b)
}

// A store with an archive that was dumped and restored in another cluster is the same: it reads both tables, knows what is archived, and goes
// on archiving. A replica reads both too.
func TestAnArchiveIsDumpedRestoredAndReplicated(t *testing.T) {
	t.Parallel()
	from := startPrimary(t)
	events := given(t, from.bundle, "order-1", 6)
	require.Equal(t, int64(3), archive(t, from.bundle, "order-1", 5))
	replica := startReplica(t, from)
	waitReplayed(t, from, replica)
	requireHolds(t, replica.bundle, "order-1", events...)

	restored := dumpInto(t, from, ownServer(t, pgserver.Options{})).bundle
	require.Equal(t, [2]string{"1 5 6", "2 3 4"}, versionsIn(t, restored, "order-1"))
	requireHolds(t, restored, "order-1", events...)
	requireAuditClean(t, restored)
	again, err := restored.repo.Append(restored.ctx, "order-1", eventstream.Any, events[1:3]...)
	require.NoError(t, err)
	require.True(t, again.Duplicate, "its ids are archived")
	_, err = restored.repo.Append(restored.ctx, "order-1", eventstream.Exact(6), anEvent(t, 7), anEvent(t, 8))
	require.NoError(t, err)
	require.Equal(t, int64(2), archive(t, restored, "order-1", 7))
	require.Len(t, readAll(t, restored.repo.ReadLog(restored.ctx, eventstream.LogOptions{})), 8)
	requireAuditClean(t, restored)
}
