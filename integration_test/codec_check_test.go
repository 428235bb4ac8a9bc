package integration_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
)

// typeIndex makes Check cheap; docs/modelling.md has the same statement.
const typeIndex = `CREATE INDEX CONCURRENTLY events_type_schema_idx
	ON eventstream.events (type, eventstream.event_schema_version(metadata), position)`

type checkedV1 struct{ N int }

type checked struct{ M int }

func checkedRegistry(t testing.TB) *codec.Registry {
	t.Helper()
	registry, err := codec.New(
		codec.Event[checked]("order.placed", codec.Upcast(1, func(old checkedV1) (checked, error) { return checked{M: old.N}, nil })),
		codec.Ignore("order.seen"),
	)
	require.NoError(t, err)
	return registry
}

// typed is an event of a type whose metadata are given.
func typed(t testing.TB, name, metadata string) eventstream.Event {
	t.Helper()
	e, err := eventstream.NewEvent(name, map[string]int{"n": 1}, eventstream.WithMetadata(json.RawMessage(metadata)))
	require.NoError(t, err)
	return e
}

func TestCodecCheckFindsWhatTheCodeDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	registry := checkedRegistry(t)
	found, err := codec.Check(b.ctx, b.repo, registry)
	require.NoError(t, err)
	require.Empty(t, found, "an empty store")

	events := []eventstream.Event{
		typed(t, "order.placed", `{}`), typed(t, "order.placed", `{"schema_version": 2}`), typed(t, "order.seen", `{"schema_version": 9}`),
		typed(t, "order.placed", `{"schema_version": 3}`), typed(t, "order.placed", `{"schema_version": 3}`),
		typed(t, "order.lost", `{}`), typed(t, "Order.lost", `{"schema_version": "x"}`), typed(t, "order.placed", `{"schema_version": 4}`),
	}
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Any, events...)
	require.NoError(t, err)
	want := []eventstream.UnknownType{
		{Type: "Order.lost", SchemaVersion: 0, Events: 1, EventID: events[6].ID, StreamID: "order-1", Version: 7},
		{Type: "order.lost", SchemaVersion: 1, Events: 1, EventID: events[5].ID, StreamID: "order-1", Version: 6},
		{Type: "order.placed", SchemaVersion: 3, Events: 2, EventID: events[3].ID, StreamID: "order-1", Version: 4},
		{Type: "order.placed", SchemaVersion: 4, Events: 1, EventID: events[7].ID, StreamID: "order-1", Version: 8},
	}
	found, err = codec.Check(b.ctx, b.repo, registry)
	require.NoError(t, err)
	require.Equal(t, want, found)

	_, err = b.pool.Exec(b.ctx, typeIndex)
	require.NoError(t, err)
	found, err = codec.Check(b.ctx, b.repo, registry)
	require.NoError(t, err)
	require.Equal(t, want, found, "with the index")

	rest, err := codec.New(codec.Ignore("order.lost"), codec.Ignore("Order.lost"), codec.Event[checked]("order.placed", codec.Version(3)))
	require.NoError(t, err)
	found, err = codec.Check(b.ctx, b.repo, registry, rest)
	require.NoError(t, err)
	require.Equal(t, want[3:], found)
	rest, err = codec.New(codec.Ignore("order.lost"), codec.Ignore("Order.lost"), codec.Ignore("order.placed"))
	require.NoError(t, err)
	found, err = codec.Check(b.ctx, b.repo, registry, rest)
	require.NoError(t, err)
	require.Empty(t, found, "two registries know it together")
	requireAuditClean(t, b)
}

// The index is what makes it cheap: its look-ups grow with the types, not with the events.
func TestCodecCheckWithTheIndexLooksAtWhatIsUnknownAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.pool.Exec(b.ctx, `SELECT eventstream.append_batch(ARRAY['a'], ARRAY[-1]::bigint[], ARRAY[20000], array_agg(gen_random_uuid()),
		array_agg('order.placed'::text), array_agg('{}'::jsonb)) FROM generate_series(1, 20000)`)
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "b", eventstream.Any, typed(t, "order.lost", `{}`))
	require.NoError(t, err)
	_, err = b.pool.Exec(b.ctx, typeIndex)
	require.NoError(t, err)
	conn := session(t, b)
	repo := repoOn(t, conn)
	read := func() int64 {
		return number(t, b.ctx, conn, `SELECT pg_stat_get_xact_tuples_returned('eventstream.events'::regclass)
			+ pg_stat_get_xact_tuples_fetched('eventstream.events'::regclass)`)
	}
	_, err = conn.Exec(b.ctx, "BEGIN")
	require.NoError(t, err)
	found, err := codec.Check(b.ctx, repo, checkedRegistry(t))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Less(t, read(), int64(100), "20,001 events are there")
}

// testdata of package codec has the same cases.
func TestCodecSchemaVersionIsJudgedAlikeByGoAndSQL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, metadata := range []string{
		`{}`, `{"a": {"schema_version": 4}}`, `{"Schema_Version": 4}`, `{"schema_version": 1}`, `{"schema_version": 2}`,
		`{"schema_version": 999999999}`, `{"schema_version": 1000000000}`, `{"schema_version": 0}`, `{"schema_version": -1}`,
		`{"schema_version": 1.5}`, `{"schema_version": 2.0}`, `{"schema_version": "2"}`, `{"schema_version": null}`,
		`{"schema_version": [2]}`, `{"schema_version": true}`, `{"schema_version": {"schema_version": 3}}`,
	} {
		sql := number(t, b.ctx, b.pool, `SELECT eventstream.event_schema_version($1::text::jsonb)`, metadata)
		require.Equal(t, int(sql), codec.SchemaVersion(eventstream.Event{Metadata: json.RawMessage(metadata)}), metadata)
	}
}

// Whoever may insert events may do so with the index, which evaluates a function for each.
func TestCodecIndexStopsNoWriter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.pool.Exec(b.ctx, typeIndex)
	require.NoError(t, err)
	role := newRole(t, b)
	_, err = b.pool.Exec(b.ctx, strings.ReplaceAll(`GRANT USAGE ON SCHEMA eventstream TO role; GRANT USAGE ON SEQUENCE eventstream.events_position_seq TO role;
		GRANT INSERT (stream_id, version, event_id, occurred_at, partition_id, tenant_id, type, payload, data, metadata) ON eventstream.events TO role`,
		"role", role))
	require.NoError(t, err)
	_, err = connect(t, b.dsn, role).Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id)
		VALUES ('order-1', 1, 'order.placed', '{}', eventstream.partition_of('order-1', 32))`)
	require.NoError(t, err)
}

func TestCodecCheckRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := codec.Check(b.ctx, b.repo, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = b.repo.UnknownTypes(b.ctx, eventstream.KnownType{Type: "a", Oldest: -1})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = b.repo.UnknownTypes(b.ctx, eventstream.KnownType{Type: " "})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
}

// What Check costs at 1,000,000 events: GAPLESS_TEST_CHECK=1 go test -run TestCodecCheckOfAMillion -v ./integration_test
func TestCodecCheckOfAMillion(t *testing.T) {
	if os.Getenv("GAPLESS_TEST_CHECK") == "" {
		t.Skip("set GAPLESS_TEST_CHECK=1 to measure")
	}
	b := setup(t)
	for range 50 {
		_, err := b.pool.Exec(b.ctx, `
			INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id, metadata)
			SELECT s.id, v.n, 'order.kind_' || v.n, jsonb_build_object('total', v.n, 'by', 'somebody with a name', 'lines', jsonb_build_array(1, 2, 3)),
				eventstream.partition_of(s.id, 32), CASE WHEN v.n % 2 = 0 THEN '{"schema_version": 2, "trace": "0190b5a0"}' ELSE '{"trace": "0190b5a0"}' END::jsonb
			FROM (SELECT 'order-' || $1 || '-' || generate_series(1, 1000) AS id) AS s CROSS JOIN generate_series(1, 20) AS v (n)`, uuid.NewString())
		require.NoError(t, err)
	}
	var known []eventstream.KnownType
	for n := range 19 {
		known = append(known, eventstream.KnownType{Type: eventstream.EventType("order.kind_" + string("123456789"[n%9])), Oldest: 1, Newest: 2})
		known = append(known, eventstream.KnownType{Type: eventstream.EventType("order.kind_1" + string("0123456789"[n%10])), Oldest: 1, Newest: 2})
	}
	measure := func(what string) {
		for range 3 {
			began := time.Now()
			found, err := b.repo.UnknownTypes(b.ctx, known...)
			require.NoError(t, err)
			t.Logf("%s: %v; %d unknown, %d events", what, time.Since(began), len(found), found[0].Events)
		}
	}
	measure("without index")
	began := time.Now()
	_, err := b.pool.Exec(b.ctx, typeIndex)
	require.NoError(t, err)
	t.Logf("index made in %v, %d MB; the table has %d MB", time.Since(began),
		number(t, b.ctx, b.pool, `SELECT pg_relation_size('eventstream.events_type_schema_idx') >> 20`),
		number(t, b.ctx, b.pool, `SELECT pg_relation_size('eventstream.events') >> 20`))
	measure("with index, one unknown type")
	known = append(known, eventstream.KnownType{Type: "order.kind_20", Oldest: 1, Newest: 1})
	known = append(known, eventstream.KnownType{Type: "order.kind_20", Oldest: 2, Newest: 2})
	for range 3 {
		began := time.Now()
		found, err := b.repo.UnknownTypes(b.ctx, known...)
		require.NoError(t, err)
		require.Empty(t, found)
		t.Logf("with index, nothing unknown: %v", time.Since(began))
	}
}
