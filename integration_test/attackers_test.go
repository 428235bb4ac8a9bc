package integration_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// attackers are who attacks. Each returns the role to connect as.
var attackers = map[string]func(t *testing.T, b *bundle) string{
	"owner":  ownerRole,
	"writer": writerRole,
}

// ownerRole makes a role that owns schema eventstream and all in it, and is no superuser.
func ownerRole(t *testing.T, b *bundle) string {
	t.Helper()
	role := newRole(t, b)
	t.Cleanup(func() { execSQL(t, context.Background(), b.pool, `REASSIGN OWNED BY `+role+` TO CURRENT_USER`) })
	awaitTemporaryObjectsGone(t, b, role)
	_, err := b.pool.Exec(b.ctx, fmt.Sprintf(`
		DO $do$
		DECLARE r record;
		BEGIN
			FOR r IN
				SELECT format('ALTER %%s %%s OWNER TO %[1]s', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass) AS sql
				FROM pg_class AS c WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind IN ('r', 'v')
				UNION ALL
				SELECT format('ALTER ROUTINE %%s OWNER TO %[1]s', p.oid::regprocedure)
				FROM pg_proc AS p WHERE p.pronamespace = 'eventstream'::regnamespace
				UNION ALL
				SELECT format('ALTER TYPE %%s OWNER TO %[1]s', y.oid::regtype)
				FROM pg_type AS y
				JOIN pg_class AS k ON k.oid = y.typrelid
				WHERE y.typnamespace = 'eventstream'::regnamespace AND k.relkind = 'c'
				UNION ALL
				SELECT 'ALTER SCHEMA eventstream OWNER TO %[1]s'
			LOOP
				EXECUTE r.sql;
			END LOOP;
		END
		$do$`, role))
	require.NoError(t, err)
	return role
}

// writerRole makes a role that may do as little as a writer by raw INSERT needs: docs/design.md, Roles.
func writerRole(t *testing.T, b *bundle) string {
	t.Helper()
	role := newRole(t, b)
	awaitTemporaryObjectsGone(t, b, role)
	simple(t, session(t, b),
		`ALTER ROLE `+role+` BYPASSRLS`, // for COPY
		`GRANT USAGE ON SCHEMA eventstream TO `+role,
		`GRANT INSERT (`+writersColumns+`), SELECT ON eventstream.events TO `+role,
		`GRANT USAGE ON SEQUENCE eventstream.events_position_seq TO `+role)
	return role
}

// writersColumns are those that a writer by raw INSERT has the right to: all but position and recorded_at.
const writersColumns = "stream_id, version, event_id, type, payload, data, metadata, tenant_id, partition_id, occurred_at"

// wideWriterRole makes a writer who was given the whole table, position included: more than the documentation says.
func wideWriterRole(t *testing.T, b *bundle) string {
	t.Helper()
	role := writerRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT INSERT ON eventstream.events TO `+role)
	return role
}

// awaitTemporaryObjectsGone makes sure that a role can be dropped at the end, although it makes temporary objects: those of a session go
// a little after its end.
func awaitTemporaryObjectsGone(t *testing.T, b *bundle, role string) {
	t.Helper()
	t.Cleanup(func() {
		require.Eventually(t, func() bool {
			return number(t, context.Background(), b.pool, `SELECT
				(SELECT count(*) FROM pg_class WHERE relowner = $1::text::regrole AND pg_is_other_temp_schema(relnamespace))
				+ (SELECT count(*) FROM pg_proc WHERE proowner = $1::text::regrole AND pg_is_other_temp_schema(pronamespace))`, role) == 0
		}, blockTimeout, 5*time.Millisecond)
	})
}

// simple runs each of the texts, which may hold several statements, as psql would.
func simple(t *testing.T, conn *pgx.Conn, sqls ...string) {
	t.Helper()
	for _, sql := range sqls {
		require.NoError(t, simpleErr(context.Background(), conn, sql), sql)
	}
}

func simpleErr(ctx context.Context, conn *pgx.Conn, sql string) error {
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// contents is all that the store holds, as text.
func contents(t *testing.T, db querier) (text string) {
	t.Helper()
	require.NoError(t, db.QueryRow(context.Background(), `SELECT jsonb_pretty(jsonb_build_object(
		'store', (SELECT jsonb_agg(to_jsonb(s)) FROM eventstream.store AS s),
		'streams', (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.stream_id) FROM eventstream.streams AS s),
		'events', (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.position) FROM eventstream.events AS e),
		'pending', (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.stream_id, p.version) FROM eventstream.pending_events AS p),
		'discarded', (SELECT jsonb_agg(to_jsonb(d) ORDER BY d.stream_id, d.version) FROM eventstream.discarded_events AS d)))`).Scan(&text))
	return text
}

// requireWatermarks compares where all streams stand, as stream@watermark.
func requireWatermarks(t *testing.T, db querier, want string) {
	t.Helper()
	var got string
	require.NoError(t, db.QueryRow(context.Background(), `
		SELECT coalesce(string_agg(format('%s@%s', s.stream_id, s.watermark), ' ' ORDER BY s.stream_id), '')
		FROM eventstream.streams AS s`).Scan(&got))
	require.Equal(t, want, got)
}

// auditProblems is what the audit finds, as "check stream: problem", in order and without repetition; warnings included.
func auditProblems(t *testing.T, db querier) []string {
	t.Helper()
	r, err := db.Query(context.Background(), `
		SELECT DISTINCT concat_ws(' ', nullif(a.severity, 'error'), a.check_name, a.stream_id,
			a.detail ->> 'table_name', a.detail ->> 'name') || coalesce(': ' || (a.detail ->> 'problem'), '') AS problem
		FROM eventstream.audit() AS a ORDER BY problem`)
	require.NoError(t, err)
	found, err := pgx.CollectRows(r, pgx.RowTo[string])
	require.NoError(t, err)
	return found
}

// sqlState is the SQLSTATE of an error, "" when it has none.
func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
