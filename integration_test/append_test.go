package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// The expectations as they travel to SQL.
const (
	anyVersion = int64(-1)
	exists     = int64(-2)
	empty      = int64(-3)
)

// What each expectation gives on a stream that is not there, that has three events, and that has a hole.
func TestAppendOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream   string
		expected int64
		tenant   string
		want     string
	}{
		"AnyOnNew":          {"new-1", anyVersion, "", "1 appended 1..1 at 1/1"},
		"EmptyOnNew":        {"new-1", empty, "", "1 appended 1..1 at 1/1"},
		"ExactZeroOnNew":    {"new-1", 0, "", "1 appended 1..1 at 1/1"},
		"ExistsOnNew":       {"new-1", exists, "", "1 stream_missing -..- at 0/0"},
		"ExactOnNew":        {"new-1", 5, "", "1 version_conflict -..- at 0/0"},
		"AnyOnThree":        {"three-1", anyVersion, "", "1 appended 4..4 at 4/4"},
		"ExistsOnThree":     {"three-1", exists, "", "1 appended 4..4 at 4/4"},
		"ExactOnThree":      {"three-1", 3, "", "1 appended 4..4 at 4/4"},
		"ExactBelowOnThree": {"three-1", 2, "", "1 version_conflict -..- at 3/3"},
		"ExactAboveOnThree": {"three-1", 4, "", "1 version_conflict -..- at 3/3"},
		"ExactZeroOnThree":  {"three-1", 0, "", "1 version_conflict -..- at 3/3"},
		"EmptyOnThree":      {"three-1", empty, "", "1 stream_exists -..- at 3/3"},
		"OtherTenant":       {"three-1", anyVersion, "acme", "1 tenant_mismatch -..- at 3/3"},
		"SameTenant":        {"three-1", anyVersion, "default", "1 appended 4..4 at 4/4"},
		"AnyOnHole":         {"hole-1", anyVersion, "", "1 gap -..- at 1/3"},
		"ExactOnHole":       {"hole-1", 3, "", "1 gap -..- at 1/3"},
		"FirstMissing":      {"headless-1", empty, "", "1 gap -..- at 0/2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "three-1", 3)
			hole := numbered(t, 3)
			_, err := b.repo.Ingest(b.ctx, "hole-1", hole[0], hole[2])
			require.NoError(t, err)
			_, err = b.repo.Ingest(b.ctx, "headless-1", numbered(t, 2)[1])
			require.NoError(t, err)
			refused := untouched(t, b)

			// Alone, and as the last of a batch, which takes another way through the function.
			r := request{stream: c.stream, expected: c.expected, tenant: c.tenant, events: someEvents(t, 1)}
			alone, err := appendBatch(b.ctx, b.pool, true, r)
			require.NoError(t, err)
			require.Equal(t, []string{c.want}, alone)
			if c.want[2] != 'a' {
				refused()
			}

			other := request{stream: "other-1", expected: empty, events: someEvents(t, 1)}
			r.events = someEvents(t, 1)
			if c.want[2] == 'a' {
				return
			}
			many, err := appendBatch(b.ctx, b.pool, false, other, r)
			require.NoError(t, err)
			require.Equal(t, []string{"1 appended 1..1 at 1/1", "2" + c.want[1:]}, many)
			many, err = appendBatch(b.ctx, b.pool, true, request{stream: "other-2", expected: empty, events: someEvents(t, 1)}, r)
			require.NoError(t, err)
			require.Equal(t, []string{"1 - -..- at 0/0", "2" + c.want[1:]}, many)
		})
	}
}

// All or nothing, or each on its own (p_atomic).
func TestAppendBatchAtomicOrEachOnItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	kept := given(t, b, "old-1", 2)
	requests := []request{
		{stream: "z-new", expected: empty, events: someEvents(t, 2)},
		{stream: "old-1", expected: 7, events: someEvents(t, 1)},
		{stream: "a-new", expected: anyVersion, events: someEvents(t, 1)},
		{stream: "missing-1", expected: exists, events: someEvents(t, 1)},
		{stream: "old-1", expected: 2, events: someEvents(t, 3)},
		{stream: "old-1", expected: empty, events: someEvents(t, 1)},
	}

	refused := untouched(t, b)
	inTx(t, b, func(tx pgx.Tx) {
		got, err := appendBatch(b.ctx, tx, true, requests...)
		require.NoError(t, err)
		require.Equal(t, []string{
			"1 - -..- at 0/0",
			"2 version_conflict -..- at 2/2",
			"3 - -..- at 0/0",
			"4 stream_missing -..- at 0/0",
			"5 - -..- at 2/2",
			"6 stream_exists -..- at 2/2",
		}, got)
		require.Equal(t, int64(1), number(t, b.ctx, tx, `SELECT count(*) FROM eventstream.streams`))
	})
	refused()
	requireHolds(t, b, "old-1", kept...)

	got, err := appendBatch(b.ctx, b.pool, false, requests...)
	require.NoError(t, err)
	require.Equal(t, []string{
		"1 appended 1..2 at 2/2",
		"2 version_conflict -..- at 2/2",
		"3 appended 1..1 at 1/1",
		"4 stream_missing -..- at 0/0",
		"5 appended 3..5 at 5/5",
		"6 stream_exists -..- at 5/5",
	}, got)
	requireHolds(t, b, "z-new", requests[0].events...)
	requireHolds(t, b, "old-1", append(kept, requests[4].events...)...)
	require.Equal(t, int64(3), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.streams`))
	require.Equal(t, int64(8), drawn(t, b), "a position for each event, and no more")
	requireAuditClean(t, b)

	// The same call again: what was appended is a duplicate, what was refused is refused again.
	got, err = appendBatch(b.ctx, b.pool, false, requests...)
	require.NoError(t, err)
	require.Equal(t, []string{
		"1 duplicate 1..2 at 2/2",
		"2 version_conflict -..- at 5/5",
		"3 duplicate 1..1 at 1/1",
		"4 stream_missing -..- at 0/0",
		"5 duplicate 3..5 at 5/5",
		"6 stream_exists -..- at 5/5",
	}, got)
	require.Equal(t, int64(8), drawn(t, b))
}

// A refused request is a row, not an exception: the caller's transaction lives on, and keeps what it did before and after.
func TestAppendRefusedLeavesTheTransactionAlive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 1)
	before, after := anEvent(t, 1), anEvent(t, 2)
	inTx(t, b, func(tx pgx.Tx) {
		_, err := b.repo.WithTx(tx).Append(b.ctx, "order-2", eventstream.Empty, before)
		require.NoError(t, err)
		position := drawn(t, b)

		_, err = b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Exact(5), anEvent(t, 1))
		var conflict *eventstream.VersionConflictError
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, eventstream.VersionConflictError{StreamID: "order-1", Expected: 5, Actual: 1}, *conflict)
		_, err = b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Empty, anEvent(t, 1))
		var there *eventstream.StreamExistsError
		require.ErrorAs(t, err, &there)
		require.Equal(t, eventstream.StreamExistsError{StreamID: "order-1", Actual: 1}, *there)
		_, err = b.repo.WithTx(tx).Append(b.ctx, "order-9", eventstream.Exists, anEvent(t, 1))
		require.ErrorIs(t, err, eventstream.ErrStreamMissing)
		_, err = b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1, eventstream.WithTenant("acme")))
		var tenant *eventstream.TenantMismatchError
		require.ErrorAs(t, err, &tenant)
		require.Equal(t, eventstream.TenantMismatchError{
			StreamID: "order-1", StreamTenant: "default", EventTenant: "acme",
		}, *tenant)
		_, err = b.repo.WithTx(tx).AppendMany(b.ctx,
			eventstream.AppendRequest{StreamID: "order-3", Expected: eventstream.Empty, Events: someEvents(t, 1)},
			eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Exact(0), Events: someEvents(t, 1)})
		var batch *eventstream.BatchError
		require.ErrorAs(t, err, &batch)
		require.Equal(t, 2, batch.Requests)
		require.Len(t, batch.Refused, 1)
		require.Equal(t, 1, batch.Refused[0].Index)
		require.ErrorIs(t, err, eventstream.ErrVersionConflict)
		require.Equal(t, position, drawn(t, b), "a loser burns no number")

		_, err = b.repo.WithTx(tx).Append(b.ctx, "order-2", eventstream.Exact(1), after)
		require.NoError(t, err)
	})
	requireHolds(t, b, "order-2", before, after)
	require.Equal(t, int64(2), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.streams`))
	requireAuditClean(t, b)
}

// Requests to one stream are applied one after the other, in the caller's order. Positions follow the order of the streams.
func TestAppendManyAppliesRepeatedStreamsInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := someEvents(t, 6)
	results, err := b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Empty, Events: events[:2]},
		eventstream.AppendRequest{StreamID: "a-1", Expected: eventstream.Empty, Events: events[2:3]},
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Exact(2), Events: events[3:5]},
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Exists, Events: events[5:]})
	require.NoError(t, err)
	require.Equal(t, []eventstream.AppendResult{
		{FirstVersion: 1, LastVersion: 2, LastPosition: 3, CurrentVersion: 2},
		{FirstVersion: 1, LastVersion: 1, LastPosition: 1, CurrentVersion: 1},
		{FirstVersion: 3, LastVersion: 4, LastPosition: 5, CurrentVersion: 4},
		{FirstVersion: 5, LastVersion: 5, LastPosition: 6, CurrentVersion: 5},
	}, results)
	requireHolds(t, b, "b-1", events[0], events[1], events[3], events[4], events[5])
	requireHolds(t, b, "a-1", events[2])

	// One of the later ones refused: nothing of the stream moves.
	refused := untouched(t, b)
	_, err = b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Exact(5), Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Exact(5), Events: someEvents(t, 1)})
	var conflict *eventstream.VersionConflictError
	require.ErrorAs(t, err, &conflict)
	refused()
	requireAuditClean(t, b)
}

// A stream can be placed in a partition when it is created; it then stays there.
func TestAppendPlacement(t *testing.T) {
	t.Parallel()
	b := setup(t)
	usual, err := eventstream.PartitionOf("order-1", 32)
	require.NoError(t, err)
	elsewhere := eventstream.PartitionKey{ID: (usual.ID + 1) % 32, Count: 32}
	place := func(id eventstream.StreamID, p *eventstream.PartitionKey) error {
		_, err := b.repo.AppendMany(b.ctx,
			eventstream.AppendRequest{StreamID: id, Expected: eventstream.Any, Events: someEvents(t, 1), Partition: p})
		return err
	}
	require.NoError(t, place("order-1", &elsewhere))
	require.NoError(t, place("order-1", nil), "it need not be said again")
	require.NoError(t, place("order-1", &elsewhere))

	stream, err := b.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, elsewhere, stream.PartitionKey())
	for _, e := range stream.EventsFrom(1) {
		require.Equal(t, elsewhere.ID, e.PartitionID)
	}

	refused := untouched(t, b)
	var mismatch *eventstream.PartitionMismatchError
	require.ErrorAs(t, place("order-1", &usual), &mismatch)
	require.Equal(t, eventstream.PartitionMismatchError{
		StreamID: "order-1", StreamPartition: elsewhere.ID, EventPartition: usual.ID,
	}, *mismatch)
	requireSQLState(t, place("order-1", &usual), "ES007")
	refused()
	unchanged := unwritten(t, b)
	// Partition 40 of 64 is well formed, but not of this store.
	require.ErrorIs(t, place("order-2", &eventstream.PartitionKey{ID: 40, Count: 64}), eventstream.ErrInvalidValue)
	require.ErrorIs(t, place("order-2", &eventstream.PartitionKey{ID: 32, Count: 32}), eventstream.ErrInvalidValue)
	unchanged()

	// In one batch: the first request for a new stream that can create it decides.
	results, err := b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "order-3", Expected: eventstream.Empty, Events: someEvents(t, 1), Partition: &elsewhere},
		eventstream.AppendRequest{StreamID: "order-3", Expected: eventstream.Exists, Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "order-4", Expected: eventstream.Empty, Events: someEvents(t, 1)})
	require.NoError(t, err)
	require.Len(t, results, 3)
	head, err := b.repo.Stream(b.ctx, "order-3")
	require.NoError(t, err)
	require.Equal(t, elsewhere, head.Partition)
	requireAuditClean(t, b)
}

// What was appended comes back: payload, bytes, metadata, tenant, and the time to the microsecond.
func TestAppendRoundTrip(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.FixedZone("", 5*3600))
	zero := make([]byte, 256)
	for i := range zero {
		zero[i] = byte(i)
	}
	makeEvent := func(payload any, opts ...eventstream.EventOption) eventstream.Event {
		e, err := eventstream.NewEvent("order.placed", payload, append(opts, eventstream.WithTenant("acme"))...)
		require.NoError(t, err)
		return e
	}
	events := []eventstream.Event{
		makeEvent(map[string]any{"quantity": 3, "name": "Ärger \U0001F600 \"quoted\" \\ {} '"}, eventstream.WithOccurredAt(at)),
		makeEvent(nil, eventstream.WithData(zero)),
		makeEvent(nil, eventstream.WithData(nil)),
		makeEvent("both", eventstream.WithData([]byte{0xff, 0x00})),
		makeEvent(nil),
		makeEvent(1, eventstream.WithMetadata(map[string]string{"trace": "t-1", "cause": "{\"x\":1}"})),
		makeEvent([]int{}, eventstream.WithOccurredAt(time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC))),
		makeEvent(true, eventstream.WithOccurredAt(time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC))),
	}
	began := time.Now().Add(-time.Minute)
	_, err := b.repo.Append(b.ctx, "order-1", eventstream.Empty, events...)
	require.NoError(t, err)

	stream, err := b.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, eventstream.TenantID("acme"), stream.TenantID())
	for i, got := range stream.EventsFrom(1) {
		want := events[i]
		require.Equal(t, want.ID, got.ID)
		require.Equal(t, want.Type, got.Type)
		if want.Payload == nil {
			require.Nil(t, got.Payload)
		} else {
			require.JSONEq(t, string(want.Payload), string(got.Payload))
		}
		require.Equal(t, want.Data, got.Data)
		if want.Metadata == nil {
			require.JSONEq(t, `{}`, string(got.Metadata))
		} else {
			require.JSONEq(t, string(want.Metadata), string(got.Metadata))
		}
		require.Equal(t, eventstream.TenantID("acme"), got.TenantID)
		require.Equal(t, want.OccurredAt, got.OccurredAt)
		require.Equal(t, eventstream.StreamID("order-1"), got.StreamID)
		require.Equal(t, int64(i+1), got.Version)
		require.Equal(t, int64(i+1), got.Position)
		require.WithinRange(t, got.RecordedAt, began, time.Now().Add(time.Minute))
		one, err := b.repo.Event(b.ctx, want.ID)
		require.NoError(t, err)
		require.Equal(t, got, one)
	}
	require.Equal(t, time.Date(2024, 2, 29, 18, 59, 59, 123456000, time.UTC), stream.EventsFrom(1)[0].OccurredAt)
	require.Equal(t, "UTC", stream.EventsFrom(1)[0].OccurredAt.Location().String())
}

// The tenant of a stream is that of its first event; an append that names none takes it.
func TestAppendTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.repo.Append(b.ctx, "order-1", eventstream.Empty, anEvent(t, 1, eventstream.WithTenant("acme")), anEvent(t, 2))
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Exact(2), anEvent(t, 3))
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "order-2", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "order-3", eventstream.Empty,
		anEvent(t, 1, eventstream.WithTenant("acme")), anEvent(t, 1, eventstream.WithTenant("other")))
	require.ErrorIs(t, err, eventstream.ErrTenantMismatch)

	// In a batch, the stream's first request decides, and a later one for another tenant is refused.
	_, err = b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{
			StreamID: "order-4", Expected: eventstream.Empty, Events: []eventstream.Event{anEvent(t, 1, eventstream.WithTenant("one"))},
		},
		eventstream.AppendRequest{
			StreamID: "order-4", Expected: eventstream.Exists, Events: []eventstream.Event{anEvent(t, 1, eventstream.WithTenant("two"))},
		})
	var mismatch *eventstream.TenantMismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, eventstream.TenantMismatchError{StreamID: "order-4", StreamTenant: "one", EventTenant: "two"}, *mismatch)
	_, err = b.repo.Stream(b.ctx, "order-4")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)

	for id, want := range map[eventstream.StreamID]eventstream.TenantID{"order-1": "acme", "order-2": "default"} {
		stream, err := b.repo.Load(b.ctx, id)
		require.NoError(t, err)
		require.Equal(t, want, stream.TenantID())
		require.True(t, stream.HasConsistentTenant())
	}
	requireAuditClean(t, b)
}

// eventstream.append, for people in psql: returns the version, and a refusal is an error that they cannot miss.
func TestAppendInPsql(t *testing.T) {
	t.Parallel()
	b := setup(t)
	call := func(args string) (version int64, err error) {
		err = b.pool.QueryRow(b.ctx, `SELECT eventstream.append(`+args+`)`).Scan(&version)
		return version, err
	}
	for i, args := range []string{
		`'order-1', 'order.placed'`,
		`'order-1', 'order.paid', '{"euro": 5}'`,
		`'order-1', 'order.sent', p_expected => 2`,
		`'order-1', 'order.sent', p_expected => -2`,
		`p_stream_id => 'order-1', p_type => 'order.scanned', p_payload => NULL, p_data => '\x00ff', p_metadata => '{"a": 1}',
			p_tenant_id => 'default', p_occurred_at => '2024-01-01'`,
	} {
		version, err := call(args)
		require.NoError(t, err, args)
		require.Equal(t, int64(i+1), version)
	}
	version, err := call(`'new-1', 'order.placed', p_expected => -3, p_partition_id => 7, p_tenant_id => 'acme'`)
	require.NoError(t, err)
	require.Equal(t, int64(1), version)

	id := uuid.New().String()
	for range 2 {
		version, err := call(`'order-2', 'order.placed', '{"n": 1}', p_event_id => '` + id + `', p_expected => 0`)
		require.NoError(t, err, "a repetition is answered as the first time")
		require.Equal(t, int64(1), version)
	}

	_, err = b.repo.Ingest(b.ctx, "hole-1", numbered(t, 2)[1])
	require.NoError(t, err)
	unchanged := unwritten(t, b)
	for args, want := range map[string]struct{ state, detail string }{
		`'order-1', 'a.b', p_expected => 2`:            {"ES001", `{"outcome": "version_conflict", "expected": 2, "stream_id": "order-1", "current_version": 5}`},
		`'order-1', 'a.b', p_expected => -3`:           {"ES001", `{"outcome": "stream_exists", "expected": -3, "stream_id": "order-1", "current_version": 5}`},
		`'order-9', 'a.b', p_expected => -2`:           {"ES001", `{"outcome": "stream_missing", "expected": -2, "stream_id": "order-9", "current_version": 0}`},
		`'hole-1', 'a.b'`:                              {"ES002", `{"stream_id": "hole-1", "first_missing": 1, "current_version": 2}`},
		`'order-1', 'a.b', p_tenant_id => 'acme'`:      {"ES003", `{"stream_id": "order-1", "stream_tenant": "default", "event_tenant": "acme"}`},
		`'order-1', 'a.b', p_event_id => '` + id + `'`: {"ES005", ""},
		`'new-1', 'a.b', p_partition_id => 8`:          {"ES007", `{"stream_id": "new-1", "stream_partition": 7, "event_partition": 8}`},
		`'order-1', 'a.b', p_expected => -4`:           {"ES008", ""},
	} {
		refused := untouched(t, b)
		_, err := call(args)
		refusal := requireSQLState(t, err, want.state)
		if want.state != "ES005" { // found by the key, once a position was drawn
			refused()
		}
		if want.detail != "" {
			require.JSONEq(t, want.detail, refusal.Detail, args)
		}
		require.NotEmpty(t, refusal.Hint, args)
	}
	_, err = call(`'order-1', 'order placed '`)
	requireSQLState(t, err, "ES008")
	unchanged()
}

// Nothing on this path waits for a writer of another stream, for an open transaction elsewhere, or for a lock that is not its own.
func TestAppendWaitsForNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "held-1", 1)
	given(t, b, "other-1", 1)

	// A writer of a stream and creator of another one, a deep reader, a transaction id that stays, and foreign advisory locks.
	holder := session(t, b)
	execSQL(t, b.ctx, holder, `BEGIN ISOLATION LEVEL REPEATABLE READ`)
	execSQL(t, b.ctx, holder, `SELECT count(*), txid_current() FROM eventstream.events`)
	execSQL(t, b.ctx, holder, `SELECT eventstream.append('held-1', 'a.b'), eventstream.append('created-1', 'a.b'), pg_advisory_lock(1)`)
	ingester := session(t, b)
	execSQL(t, b.ctx, ingester, `BEGIN`)
	execSQL(t, b.ctx, ingester, `SELECT * FROM eventstream.ingest('held-2', '{2}', ARRAY[gen_random_uuid()], '{a.b}', NULL)`)

	// Whoever had to wait for them would wait for ever: lock_timeout makes that an error.
	writer := session(t, b)
	execSQL(t, b.ctx, writer, `SET lock_timeout = '1ms'`)
	repo := repoOn(t, writer)
	_, err := repo.Append(b.ctx, "other-1", eventstream.Exact(1), anEvent(t, 1))
	require.NoError(t, err)
	_, err = repo.Append(b.ctx, "created-2", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	_, err = repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "other-1", Expected: eventstream.Exists, Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "created-3", Expected: eventstream.Empty, Events: someEvents(t, 1)})
	require.NoError(t, err)
	_, err = repo.Ingest(b.ctx, "created-4", numbered(t, 3)[2])
	require.NoError(t, err)
	execSQL(t, b.ctx, writer, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		VALUES ('raw-1', 1, 3, 'a.b', '1')`)

	// The check of the check: the stream that is held does wait.
	_, err = repo.Append(b.ctx, "held-1", eventstream.Any, anEvent(t, 1))
	requireSQLState(t, err, "55P03")
	execSQL(t, b.ctx, holder, `ROLLBACK`)
	execSQL(t, b.ctx, ingester, `ROLLBACK`)
	_, err = b.repo.Stream(context.Background(), "created-1")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
}

func execSQL(t testing.TB, ctx context.Context, q querier, sql string, args ...any) { //nolint:revive // t first, as elsewhere
	t.Helper()
	_, err := q.Exec(ctx, sql, args...)
	require.NoError(t, err)
}

// An event that could not be made is refused with its own error by whatever writes events, and nothing of the call is stored.
func TestEventOfIsRefusedWithItsError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine := errors.New("mine")
	good := numbered(t, 1)[0]
	bad := eventstream.EventOf("order.placed", 1, func(*eventstream.Event) error { return mine })
	bad.StreamID, bad.Version = "order-1", 2
	request := eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: []eventstream.Event{good, bad}}
	_, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, good, bad)
	require.ErrorIs(t, err, mine)
	_, err = b.repo.AppendMany(b.ctx, request)
	require.ErrorIs(t, err, mine)
	_, err = b.repo.Ingest(b.ctx, "order-1", good, bad)
	require.ErrorIs(t, err, mine)
	_, err = b.repo.Import(b.ctx, func(yield func(eventstream.Event, error) bool) { yield(bad, nil) })
	require.ErrorIs(t, err, mine)
	require.Zero(t, drawn(t, b))

	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Any, eventstream.EventOf("order.placed", map[string]int{"n": 1}))
	require.NoError(t, err)
}
