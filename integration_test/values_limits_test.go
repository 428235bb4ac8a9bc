package integration_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// expanding is JSON that is short as it is sent, and takes 131072 bytes a number as PostgreSQL prints it.
func expanding(numbers int) string {
	return "[" + strings.Repeat("1e131071,", numbers-1) + "1e131071]"
}

// 75 KB that a server takes and nobody would ever read again: no text has a gigabyte.
func TestJSONThatExpandsIsRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	text := expanding(8300)
	var invalid *eventstream.InvalidValueError

	_, err := eventstream.NewEvent("measured", json.RawMessage(text))
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, []string{"payload", fmt.Sprintf("%d bytes as text", 8300*131074)}, []string{invalid.Field, invalid.Value})
	event := anEvent(t, 1)
	event.Payload = json.RawMessage(text)
	_, err = b.repo.Append(b.ctx, "sensor-1", eventstream.Any, event)
	require.ErrorAs(t, err, &invalid)
	event.Payload, event.Metadata = nil, json.RawMessage(`{"a":`+text+`}`)
	event.Data = []byte("x")
	_, err = b.repo.Append(b.ctx, "sensor-1", eventstream.Any, event)
	require.ErrorAs(t, err, &invalid)

	// The server prints a gigabyte before it gives up, which takes a while, so it is asked once.
	var fault string
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT eventstream.json_fault($1::text::jsonb)`, text).Scan(&fault))
	require.Equal(t, "more bytes as text than a text can have", fault)
	for _, way := range []string{
		`SELECT eventstream.append('sensor-1', 'measured', $1::text::jsonb)`,
		`SELECT eventstream.append('sensor-1', 'measured', '{}', p_metadata => jsonb_build_object('a', $1::text::jsonb))`,
		`SELECT eventstream.ingest('sensor-1', '{1}', ARRAY[gen_random_uuid()], '{t}', ARRAY[$1::text::jsonb])`,
		`SELECT eventstream.ingest('sensor-1', '{2}', ARRAY[gen_random_uuid()], '{t}', ARRAY[$1::text::jsonb])`,
	} {
		_, err := b.pool.Exec(b.ctx, way, expanding(500))
		require.Contains(t, requireSQLState(t, err, "ES008").Message, " bytes as text", way)
	}
	// Stored elsewhere, it is compressed, and no larger than 2 KB by its size.
	execSQL(t, b.ctx, b.pool, `CREATE TABLE public.elsewhere AS SELECT $1::text::jsonb AS payload`, expanding(500))
	require.Less(t, number(t, b.ctx, b.pool, `SELECT pg_column_size(payload) FROM public.elsewhere`), int64(2000))
	_, err = b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'sensor-1', 1, 0, 'measured', payload FROM public.elsewhere`)
	requireSQLState(t, err, "ES008")
	requireAuditClean(t, b)
}

// Nobody but a superuser gets such a value in, past the gate; the audit finds it.
func TestAuditFindsValuesBeyondTheLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	simple(t, conn, `SET session_replication_role = replica`)
	for version, values := range []string{
		`gen_random_uuid(), '{}', NULL, '{}'`,
		`'00000000-0000-0000-0000-000000000000', '{}', NULL, '{}'`,
		`gen_random_uuid(), '` + expanding(500) + `', NULL, '{}'`,
		`gen_random_uuid(), '{}', NULL, jsonb_build_object('a', '` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `'::jsonb)`,
	} {
		simple(t, conn, fmt.Sprintf(`INSERT INTO eventstream.events (stream_id, version, partition_id, type, event_id, payload, data, metadata)
			VALUES ('a', %d, 0, 't', %s)`, version+1, values))
	}
	// Damage is no reason for the audit to fail.
	simple(t, conn, `CREATE CAST (bytea AS jsonb) WITHOUT FUNCTION`,
		`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			SELECT 'a', 5, 0, 't', string_agg('\x00000000'::bytea || sha256(int8send(n)), '')::jsonb FROM generate_series(1, 300) AS n`,
		`DROP CAST (bytea AS jsonb)`)
	require.Equal(t, []string{"2 event_id", "3 payload", "4 metadata", "5 payload"},
		texts(t, b, `SELECT version || ' ' || field FROM eventstream.audit_values ORDER BY version`))
}
