package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// personal is what must be gone; nothing else in a store of a test looks like it.
const personal = "Ada-Lovelace-1815-12-10-London-Q7f3"

// aPerson is an event that holds something personal in payload, data and metadata, tags among them.
func aPerson(t tester, n int) eventstream.Event {
	t.Helper()
	e, err := eventstream.NewEvent("person.changed", map[string]any{"name": personal, "n": n},
		eventstream.WithMetadata(map[string]any{"by": personal, "tags": []string{"name:" + personal}}))
	require.NoError(t, err)
	e.Data = []byte("data of " + personal)
	return e
}

// personStore has a stream of four events of a person, and one of somebody else, all sealed; a snapshot of the person's.
func personStore(t *testing.T) (b *bundle, events []eventstream.Event, kept seal.Kept) {
	t.Helper()
	b = setup(t)
	for n := range 4 {
		events = append(events, aPerson(t, n+1))
	}
	_, err := b.repo.Append(b.ctx, "person-1", eventstream.Empty, events...)
	require.NoError(t, err)
	given(t, b, "person-2", 2)
	saved, err := b.repo.SaveSnapshot(b.ctx, eventstream.Snapshot{
		Kind: tallyKind, StreamID: "person-1", Version: 3, EventID: events[2].ID, State: []byte("state of " + personal),
	})
	require.NoError(t, err)
	require.True(t, saved)
	kept, sealed, err := seal.Next(b.ctx, b.pool, 10)
	require.NoError(t, err)
	require.True(t, sealed)
	return b, events, kept
}

func erase(t testing.TB, b *bundle, from, to int64) int64 {
	t.Helper()
	erased, err := b.repo.Erase(b.ctx, eventstream.Erasure{StreamID: "person-1", From: from, To: to, Reason: "request 17"})
	require.NoError(t, err)
	return erased
}

// What an event holds goes, in every reader; that it was there, when, where and of which type stays, and so do its seals and proofs.
func TestErasureTakesContentAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	b, events, kept := personStore(t)
	before, err := b.repo.Load(b.ctx, "person-1")
	require.NoError(t, err)
	require.Equal(t, int64(2), erase(t, b, 2, 3))

	stream, err := b.repo.Load(b.ctx, "person-1")
	require.NoError(t, err)
	require.True(t, stream.IsGapless())
	require.Equal(t, int64(4), stream.Watermark())
	var want []eventstream.Event
	for _, e := range before.EventsFrom(1) {
		if e.Version == 2 || e.Version == 3 {
			e.Payload, e.Data, e.Metadata, e.Erased = nil, nil, json.RawMessage(`{"$erased": true}`), true
		}
		want = append(want, e)
	}
	require.Equal(t, want, stream.EventsFrom(1))
	require.Equal(t, want, readAll(t, b.repo.Read(b.ctx, "person-1", eventstream.ReadOptions{})))
	require.Equal(t, want[1], mustEvent(t, b, events[1].ID))
	var logged []eventstream.Event
	for _, e := range readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{})) {
		if e.StreamID == "person-1" {
			logged = append(logged, e.Event)
		}
	}
	require.Equal(t, want, logged)
	loaded, found, err := b.repo.LoadOnSnapshot(b.ctx, "person-1", tallyKind)
	require.NoError(t, err)
	require.Equal(t, eventstream.SnapshotNone, found.Status, "the snapshot went")
	require.Equal(t, want, loaded.EventsFrom(1))

	require.Empty(t, sealFaults(t, b, &kept))
	requireAuditClean(t, b)
	proof, err := seal.Prove(b.ctx, b.pool, "person-1", 2, kept)
	require.NoError(t, err)
	require.NoError(t, proof.Verify(kept))
	require.True(t, proof.Event.Holds([]byte(printed(t, b, events[1].Payload)), events[1].Data, []byte(printed(t, b, events[1].Metadata))),
		"who has kept the content elsewhere can still prove it")
	require.Equal(t, []string{"person-1 2 events request 17 t", "person-1 3 events request 17 t"}, texts(t, b,
		`SELECT concat_ws(' ', stream_id, version, place, reason, erased_by = session_user AND erased_at <= clock_timestamp())
		FROM eventstream.erasures ORDER BY version`))

	require.Zero(t, erase(t, b, 2, 3), "once more changes nothing")
	require.Equal(t, int64(2), erase(t, b, 1, 0), "the rest")
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.find_matching($1::jsonb, 0, 100, 10)`,
		`[{"tags": ["name:`+personal+`"]}]`), "tags go with the metadata")
	require.Empty(t, sealFaults(t, b, &kept))
	requireAuditClean(t, b)
	// The stream goes on, on top of what is left.
	_, err = b.repo.Append(b.ctx, "person-1", eventstream.Exact(4), anEvent(t, 5))
	require.NoError(t, err)
}

func mustEvent(t testing.TB, b *bundle, id uuid.UUID) eventstream.Event {
	t.Helper()
	e, err := b.repo.Event(b.ctx, id)
	require.NoError(t, err)
	return e
}

// printed is JSON as the database prints it.
func printed(t testing.TB, b *bundle, text []byte) (is string) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT $1::jsonb::text`, string(text)).Scan(&is))
	return is
}

// requireNotFound fails unless an error says that there is no stream of this id.
func requireNotFound(t testing.TB, err error, id eventstream.StreamID) {
	t.Helper()
	var missing *eventstream.StreamNotFoundError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, id, missing.StreamID)
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
}

func TestErasureRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	b, _, _ := personStore(t)
	verify := untouched(t, b)
	for name, c := range map[string]struct {
		args string
		says string
	}{
		"no stream":                {`NULL, '[1,2]', 'r'`, "stream_id"},
		"no versions":              {`'person-1', NULL, 'r'`, "versions"},
		"an empty range":           {`'person-1', 'empty', 'r'`, "versions"},
		"below the first":          {`'person-1', '[0,2]', 'r'`, "within [1,4]"},
		"far below":                {`'person-1', '[-5,-1]', 'r'`, "within [1,4]"},
		"above the last":           {`'person-1', '[4,5]', 'r'`, "within [1,4]"},
		"from above the last":      {`'person-1', '[5,]', 'r'`, "within [1,4]"},
		"no reason":                {`'person-1', '[1,2]', NULL`, "reason"},
		"an empty reason":          {`'person-1', '[1,2]', ''`, "reason"},
		"a reason of white space":  {`'person-1', '[1,2]', E' \t\n'`, "reason"},
		"as many as there can be":  {`'person-1', '[1,9223372036854775806]', 'r'`, "within [1,4]"},
		"all but nothing is there": {`'', '(,)', 'r'`, "stream_id"},
	} {
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.erase(`+c.args+`)`)
		require.Contains(t, requireSQLState(t, err, "ES008").Message, c.says, name)
	}
	for name, erasure := range map[string]eventstream.Erasure{
		"zero":         {},
		"no stream":    {From: 1, Reason: "r"},
		"no from":      {StreamID: "person-1", Reason: "r"},
		"to below":     {StreamID: "person-1", From: 3, To: 2, Reason: "r"},
		"negative":     {StreamID: "person-1", From: 1, To: -1, Reason: "r"},
		"no reason":    {StreamID: "person-1", From: 1, Reason: " "},
		"out of range": {StreamID: "person-1", From: 1, To: 5, Reason: "r"},
	} {
		_, err := b.repo.Erase(b.ctx, erasure)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
	}
	_, err := b.pool.Exec(b.ctx, `SELECT eventstream.erase('person-9', '[1,2]', 'r')`)
	refused := requireSQLState(t, err, "ES018")
	require.Contains(t, refused.Message, "'person-9'")
	require.Contains(t, refused.Hint, "discard_pending")
	_, err = b.repo.Erase(b.ctx, eventstream.Erasure{StreamID: "person-9", From: 1, Reason: "r"})
	requireNotFound(t, err, "person-9")
	verify()
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.erasures`))
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.snapshots`))
}

// An append that is repeated, and an event that is delivered again, after the erasure: the kept digests tell whether it is the same, and
// what was erased does not come back.
func TestErasureKnowsWhatIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	b, events, kept := personStore(t)
	erase(t, b, 1, 2)
	again, err := b.repo.Append(b.ctx, "person-1", eventstream.Empty, events...)
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, [2]int64{1, 4}, [2]int64{again.FirstVersion, again.LastVersion})
	one, err := b.repo.Append(b.ctx, "person-1", eventstream.Any, events[1])
	require.NoError(t, err)
	require.True(t, one.Duplicate)
	delivered := make([]eventstream.Event, 4)
	for i, e := range events {
		e.Version = int64(i + 1)
		delivered[i] = e
	}
	ingested, err := b.repo.Ingest(b.ctx, "person-1", delivered...)
	require.NoError(t, err)
	require.Equal(t, int64(4), ingested.Duplicates)
	// From a copy of this store.
	stream, err := b.repo.Load(b.ctx, "person-1")
	require.NoError(t, err)
	ingested, err = b.repo.Ingest(b.ctx, "person-1", stream.EventsFrom(1)...)
	require.NoError(t, err)
	require.Equal(t, int64(4), ingested.Duplicates)

	other := events[1]
	other.Payload = json.RawMessage(`{"name": "another", "n": 2}`)
	_, err = b.repo.Append(b.ctx, "person-1", eventstream.Any, other)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	otherData := events[1]
	otherData.Data = []byte("other data")
	_, err = b.repo.Append(b.ctx, "person-1", eventstream.Any, otherData)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	other.Version = 2
	_, err = b.repo.Ingest(b.ctx, "person-1", other)
	var conflict *eventstream.IngestConflictError
	require.ErrorAs(t, err, &conflict)
	// An event that is here in full, and arrives erased.
	blank := stream.EventsFrom(1)[1]
	blank.Version, blank.ID = 3, events[2].ID
	_, err = b.repo.Ingest(b.ctx, "person-1", blank)
	require.ErrorAs(t, err, &conflict)

	require.Equal(t, int64(2), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE payload::text LIKE '%`+personal+`%'`))
	require.Empty(t, sealFaults(t, b, &kept))
	requireAuditClean(t, b)
}

// A copy of a store has its erased events erased, at their versions.
func TestErasedEventsTravelAsTheyAre(t *testing.T) {
	t.Parallel()
	b, _, _ := personStore(t)
	erase(t, b, 2, 3)
	stream, err := b.repo.Load(b.ctx, "person-1")
	require.NoError(t, err)
	text, err := json.Marshal(stream)
	require.NoError(t, err)
	var decoded eventstream.EventStream
	require.NoError(t, json.Unmarshal(text, &decoded))
	require.Equal(t, erasedOf(stream.EventsFrom(1)), erasedOf(decoded.EventsFrom(1)))
	require.NoError(t, decoded.EventsFrom(1)[1].Validate())

	for name, take := range map[string]func(to *bundle) error{
		"import": func(to *bundle) error {
			_, err := to.repo.Import(to.ctx, func(yield func(eventstream.Event, error) bool) {
				for _, e := range decoded.EventsFrom(1) {
					if !yield(e, nil) {
						return
					}
				}
			})
			return err
		},
		"ingest": func(to *bundle) error {
			_, err := to.repo.Ingest(to.ctx, "person-1", decoded.EventsFrom(1)...)
			return err
		},
		"append": func(to *bundle) error {
			events := decoded.EventsFrom(1)
			_, err := to.repo.Append(to.ctx, "person-1", eventstream.Empty, events...)
			return err
		},
	} {
		to := setup(t)
		require.NoError(t, take(to), name)
		copied, err := to.repo.Load(to.ctx, "person-1")
		require.NoError(t, err)
		require.Equal(t, []bool{false, true, true, false}, erasedOf(copied.EventsFrom(1)), name)
		_, _, err = seal.Next(to.ctx, to.pool, 10)
		require.NoError(t, err)
		require.Empty(t, sealFaults(t, to, nil), name)
		requireAuditClean(t, to)
		// There is nothing to erase in what arrived erased.
		erased, err := to.repo.Erase(to.ctx, eventstream.Erasure{StreamID: "person-1", From: 1, Reason: "request 18"})
		require.NoError(t, err)
		require.Equal(t, int64(2), erased, name)
		require.Empty(t, sealFaults(t, to, nil), name)
	}
}

func erasedOf(events []eventstream.Event) (erased []bool) {
	for _, e := range events {
		erased = append(erased, e.Erased)
	}
	return erased
}

// Nobody writes an event that passes for an erased one and holds something.
func TestNoEventPassesForAnErasedOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, values := range []string{
		`'{}', NULL, '{"$erased": true}'`, `'null', '\x00', '{"$erased": true}'`, `'null', NULL, '{"$erased": true, "a": 1}'`,
		`'null', NULL, '{"$erased": false}'`, `'null', NULL, '{"$erased": 1, "tags": ["a"]}'`,
	} {
		_, err := b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload, data, metadata)
			SELECT 'person-1', 1, 'a', 0, `+values)
		requireSQLState(t, err, "ES008")
		_, err = b.pool.Exec(b.ctx, `INSERT INTO eventstream.pending_events
			(stream_id, version, event_id, type, partition_id, tenant_id, occurred_at, payload, data, metadata)
			SELECT 'person-1', 2, gen_random_uuid(), 'a', 0, 'default', now(), `+values)
		requireSQLState(t, err, "ES008")
	}
	e := anEvent(t, 1)
	for _, metadata := range []string{`{"$erased": true}`, `{"$erased":true}`} {
		e.Metadata = json.RawMessage(metadata)
		_, err := b.repo.Append(b.ctx, "person-1", eventstream.Any, e)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
	e.Erased = true
	_, err := b.repo.Append(b.ctx, "person-1", eventstream.Any, e)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue, "with a payload")
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
}

// What was discarded holds copies too: they go with the version, whether or not an event took it.
func TestErasureReachesWhatWasDiscarded(t *testing.T) {
	t.Parallel()
	b, _, _ := personStore(t)
	ahead := aPerson(t, 9)
	ahead.Version = 9
	_, err := b.repo.Ingest(b.ctx, "person-1", ahead)
	require.NoError(t, err)
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.erase('person-1', '[9,9]', 'request 17')`)
	requireSQLState(t, err, "ES008") // it waits
	for range 2 {
		_, err = b.repo.DiscardPending(b.ctx, "person-1", "lost", 1)
		require.NoError(t, err)
		_, err = b.repo.Ingest(b.ctx, "person-1", ahead)
		require.NoError(t, err)
	}
	_, err = b.repo.DiscardPending(b.ctx, "person-1", "lost", 1)
	require.NoError(t, err)
	require.Equal(t, int64(7), erase(t, b, 1, 0), "four events, one discarded three times")
	require.Zero(t, erase(t, b, 1, 9))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.discarded_events AS d WHERE d::text LIKE '%`+personal+`%'`))
	require.Equal(t, int64(3), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.discarded_events WHERE reason = 'lost'`))
	// And once more, after its erasure.
	_, err = b.repo.Ingest(b.ctx, "person-1", ahead)
	require.NoError(t, err)
	_, err = b.repo.DiscardPending(b.ctx, "person-1", "lost", 1)
	require.NoError(t, err)
	require.Equal(t, int64(1), erase(t, b, 9, 9))
	requireAuditClean(t, b)
}

// A subscription whose filter asks for it is told, in the shard that had the events, and nobody else has to know.
func TestErasureIsToldToSubscriptionsThatAsk(t *testing.T) {
	t.Parallel()
	b, _, _ := personStore(t)
	erase(t, b, 1, 1)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE type = '$erased'`), "nobody asked")

	told := make(chan eventstream.LogEvent, 10)
	s, err := subscription.New(b.repo, "forgetter", subscription.EffectHandler(
		func(_ context.Context, events []eventstream.LogEvent) error {
			for _, e := range events {
				told <- e
			}
			return nil
		}), &subscription.Config{Filter: eventstream.LogFilter{Types: []eventstream.EventType{eventstream.ErasedType}}})
	require.NoError(t, err)
	stop := keepRunning(t, b, s)
	defer stop()
	require.NoError(t, s.WaitFor(b.ctx, drawn(t, b)))
	require.Equal(t, int64(2), erase(t, b, 2, 3))
	require.NoError(t, s.WaitFor(b.ctx, drawn(t, b)))
	require.Len(t, told, 1)
	e := <-told
	require.JSONEq(t, `{"stream_id": "person-1", "from_version": 2, "to_version": 3, "events": 2}`, string(e.Payload))
	require.Equal(t, mustLoad(t, b, "person-1").PartitionKey().ID, e.PartitionID)
	erase(t, b, 2, 3)
	no := false
	_, err = b.repo.Erase(b.ctx, eventstream.Erasure{StreamID: "person-1", From: 4, Reason: "request 17", Tell: &no})
	require.NoError(t, err)
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE type = '$erased'`))
	requireAuditClean(t, b)
}

func mustLoad(t testing.TB, b *bundle, id eventstream.StreamID) *eventstream.EventStream {
	t.Helper()
	stream, err := b.repo.Load(b.ctx, id)
	require.NoError(t, err)
	return stream
}

// What a handler said of an event that it could not handle may quote it.
func TestErasureReachesWhatIsSaidOfParkedEvents(t *testing.T) {
	t.Parallel()
	b, _, _ := personStore(t)
	_, err := b.pool.Exec(b.ctx, `SELECT eventstream.subscribe('reader', 1, 'acknowledged', '{}', '{"from": "beginning"}');
		SELECT eventstream.park_events('reader', ARRAY[1, 2], 3, 'cannot greet `+personal+`')`)
	require.NoError(t, err)
	erase(t, b, 2, 2)
	require.Equal(t, []string{"1 cannot greet " + personal, "2 erased with its event"},
		texts(t, b, `SELECT version || ' ' || error FROM eventstream.parked_events ORDER BY version`))
}

// The files of the database, after VACUUM FULL and a checkpoint, hold nothing of what was erased: tables, indexes, TOAST, statistics. The log
// of changes (WAL) is another matter: its files are recycled, and archives of it and backups are the operator's.
func TestErasureLeavesNothingInTheDataDirectory(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	execSQL(t, b.ctx, b.pool, `CREATE INDEX CONCURRENTLY events_tags_idx ON eventstream.events
		USING gin ((metadata -> 'tags')) WHERE metadata ? 'tags'`)
	execSQL(t, b.ctx, b.pool, `ALTER INDEX eventstream.events_tags_idx ALTER COLUMN 1 SET STATISTICS 0`)
	large := make([]byte, 60_000) // out of line
	for i := range large {
		large[i] = byte(i * i * 7 >> 3)
	}
	for i := range 30 {
		e := aPerson(t, i)
		e.Data = append(bytes.Clone(large), personal...)
		_, err := b.repo.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("person-%d", i%3+1)), eventstream.Any, e)
		require.NoError(t, err)
	}
	last := mustLoad(t, b, "person-1").EventsFrom(10)[0]
	_, err := b.repo.SaveSnapshot(b.ctx, eventstream.Snapshot{
		Kind: tallyKind, StreamID: "person-1", Version: 10, EventID: last.ID, State: []byte("state of " + personal),
	})
	require.NoError(t, err)
	ahead := aPerson(t, 99)
	ahead.Version = 99
	_, err = b.repo.Ingest(b.ctx, "person-1", ahead)
	require.NoError(t, err)
	_, err = b.repo.DiscardPending(b.ctx, "person-1", "lost", 1)
	require.NoError(t, err)
	_, _, err = seal.Next(b.ctx, b.pool, 100)
	require.NoError(t, err)
	found := filesWith(t, b, personal)
	require.GreaterOrEqual(t, len(found), 3, "the search finds what is there: tables, TOAST or an index: %v", found)

	for n := 1; n <= 3; n++ {
		_, err := b.repo.Erase(b.ctx, eventstream.Erasure{StreamID: eventstream.StreamID(fmt.Sprintf("person-%d", n)), From: 1, Reason: "request"})
		require.NoError(t, err)
	}
	// VACUUM keeps what an older snapshot might see, as one of autovacuum's.
	require.Eventually(t, func() bool { return len(filesWith(t, b, personal)) == 0 }, time.Minute, 100*time.Millisecond)
	require.Empty(t, sealFaults(t, b, nil))
	requireAuditClean(t, b)
}

// filesWith are the files of the database that hold a text.
func filesWith(t testing.TB, b *bundle, text string) []string {
	t.Helper()
	return filesHolding(t, b, []byte(text))
}

// filesHolding are the files of the database that hold some bytes, after VACUUM FULL and a checkpoint.
func filesHolding(t testing.TB, b *bundle, content []byte) []string {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `ANALYZE`)
	// Not the catalogs that all databases of the server share: it would wait for who uses these, and who connects for it.
	execSQL(t, b.ctx, b.pool, `VACUUM FULL `+strings.Join(texts(t, b, `SELECT oid::regclass::text FROM pg_class
		WHERE relkind IN ('r', 'm') AND NOT relisshared AND relnamespace <> 'information_schema'::regnamespace`), ", "))
	execSQL(t, b.ctx, b.pool, `CHECKPOINT`)
	return texts(t, b, `SELECT concat_ws(' ', f.path, (SELECT c.oid::regclass FROM pg_class AS c
			WHERE c.relfilenode::text = regexp_replace(f.path, '^.*/([0-9]+).*$', '\1')))
		FROM (
			SELECT d.dir || '/' || n AS path
			FROM (SELECT 'base/' || oid AS dir FROM pg_database WHERE datname = current_database() UNION ALL SELECT 'global') AS d
			CROSS JOIN LATERAL pg_ls_dir(d.dir) AS n
		) AS f
		WHERE position($1::bytea IN pg_read_binary_file(f.path, true)) > 0 ORDER BY 1`, content)
}
