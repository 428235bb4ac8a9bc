package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func TestAuditFindsEachKindOfDamage(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for view, kinds := range damages {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			for _, d := range kinds {
				t.Run(d.name, func(t *testing.T) {
					// Within a transaction that is taken back, so that each finds the same store.
					conn := session(t, b)
					simple(t, conn, `BEGIN`)
					if d.hole {
						simple(t, conn, hole)
						require.Equal(t, []string{holeIsThere}, auditProblems(t, conn))
					} else {
						require.Empty(t, auditProblems(t, conn))
					}
					simple(t, conn, `SET LOCAL session_replication_role = replica; SET LOCAL allow_system_table_mods = on`, d.sql)
					require.Equal(t, d.want, auditProblems(t, conn))
					var reported bool
					require.NoError(t, conn.QueryRow(b.ctx, `SELECT EXISTS (SELECT FROM eventstream.`+view+`)`).Scan(&reported))
					require.Equal(t, len(d.want) > 0 || d.hole, reported, "%s is the view that says it", view)
					// Which setval is not.
					simple(t, conn, `ROLLBACK`, `SELECT setval('eventstream.events_position_seq', greatest(last_value, 7))
						FROM eventstream.events_position_seq`)
				})
			}
			requireAuditClean(t, b)
		})
	}
}

// hole makes the stream with a hole of the damages above.
const hole = `SELECT eventstream.append('order-3', 't', p_partition_id => 3) FROM generate_series(1, 2);
	SELECT eventstream.ingest('order-3', ARRAY[6, 4, 5], ARRAY[gen_random_uuid(), gen_random_uuid(), gen_random_uuid()],
		ARRAY['t', 't', 't'], NULL)`

// Replacements that keep the name and lose the effect.
func TestAuditFindsGuardsThatDoNothing(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	for _, d := range []struct{ name, sql, object string }{
		{"gate that never fires", `DROP TRIGGER events_gate ON eventstream.events;
			CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events REFERENCING NEW TABLE AS new_events
			FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION eventstream.events_gate()`, "events.events_gate"},
		{
			"gate that calls a function of the same name elsewhere", `DROP TRIGGER events_gate ON eventstream.events;
			CREATE FUNCTION public.events_gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION public.events_gate()`,
			"events.events_gate",
		},
		{"guard that lets DELETE through", `DROP TRIGGER events_append_only ON eventstream.events;
			CREATE TRIGGER events_append_only BEFORE UPDATE ON eventstream.events
			FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'a', 'b')`, "events.events_append_only"},
		{"primary key of other columns", `ALTER TABLE eventstream.events DROP CONSTRAINT events_pkey;
			ALTER TABLE eventstream.events ADD CONSTRAINT events_pkey PRIMARY KEY (position)`, "events.events_pkey"},
		{"guard that refuses nothing", `CREATE OR REPLACE FUNCTION eventstream.refuse_change() RETURNS trigger LANGUAGE plpgsql
			SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'`, "eventstream.refuse_change()"},
		{
			"rule that takes everything", `ALTER TABLE eventstream.discarded_events DROP CONSTRAINT discarded_events_reason_given;
			ALTER TABLE eventstream.discarded_events ADD CONSTRAINT discarded_events_reason_given CHECK (true)`,
			"discarded_events.discarded_events_reason_given",
		},
		{
			"what waits, in a column of another type", `ALTER TABLE eventstream.discarded_events ALTER COLUMN discarded_by TYPE varchar(99)`,
			"discarded_events.discarded_by",
		},
	} {
		t.Run(d.name, func(t *testing.T) {
			conn := session(t, b)
			simple(t, conn, `BEGIN`, d.sql)
			require.EqualValues(t, 1, number(t, b.ctx, conn, `SELECT count(*) FROM eventstream.audit_triggers WHERE name = $1`, d.object))
			simple(t, conn, `ROLLBACK`)
		})
	}
}

// A hole is a warning, not damage, and says what an operator needs: what is missing, how many wait for it, and since when.
func TestAuditSaysWhatIsMissingHowManyWaitAndSinceWhen(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	conn := session(t, b)
	simple(t, conn, hole)
	var severity, stream string
	var version, waiting, missing, firstMissing int64
	var since, oldest time.Time
	require.NoError(t, conn.QueryRow(b.ctx, `
		SELECT a.severity, a.stream_id, a.version, (a.detail ->> 'first_missing')::bigint, (a.detail ->> 'waiting')::bigint,
			(a.detail ->> 'missing')::bigint, (a.detail ->> 'since')::timestamptz,
			(SELECT min(received_at) FROM eventstream.pending_events)
		FROM eventstream.audit() AS a`).Scan(&severity, &stream, &version, &firstMissing, &waiting, &missing, &since, &oldest))
	require.Equal(t, "warning", severity)
	require.Equal(t, "order-3", stream)
	require.Equal(t, []int64{3, 3, 3, 1}, []int64{version, firstMissing, waiting, missing})
	require.True(t, since.Equal(oldest), "%s, %s", since, oldest)

	simple(t, conn, `SELECT eventstream.ingest('order-3', ARRAY[3], ARRAY[gen_random_uuid()], ARRAY['t'], NULL)`)
	requireAuditClean(t, b)
}

func TestAuditOfAnEmptyStoreIsClean(t *testing.T) {
	t.Parallel()
	b := setup(t)
	requireAuditClean(t, b)
	execSQL(t, b.ctx, b.pool, `VACUUM ANALYZE`)
	requireAuditClean(t, b)
}

// An auditor needs SELECT alone.
func TestAuditIsOpenToARoleThatMayOnlyRead(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role+`; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role)
	require.Empty(t, auditProblems(t, connect(t, b.dsn, role)))
}

// A store of 50,000 events, or a million in the long form, in streams of all lengths and tenants: clean, and then with one
// event gone. Only what is found is demanded; how long it takes is logged.
func TestAuditOfALargeStore(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	events := 50_000
	if longForm() {
		events = 1_000_000
	}
	b := setup(t)
	ctx := context.Background() // A million take longer than a test usually may.
	conn := session(t, b)
	started := time.Now()
	execSQL(t, ctx, conn, `INSERT INTO eventstream.events (stream_id, version, partition_id, tenant_id, type, payload)
		SELECT 'order-' || s, v, s % 32, 'tenant-' || s % 7, 'order.placed', jsonb_build_object('n', v, 'note', repeat('x', 100))
		FROM generate_series(1, $1::integer / 10) AS s, generate_series(1, 10) AS v
		ORDER BY v`, events)
	t.Logf("%d events inserted through the gate in %s", events, time.Since(started).Round(time.Millisecond))

	for _, state := range []string{"never analyzed", "analyzed"} {
		if state == "analyzed" {
			execSQL(t, ctx, conn, `VACUUM ANALYZE eventstream.events`)
		}
		started = time.Now()
		findings := auditProblems(t, conn)
		t.Logf("%d events, %s, audited in %s", events, state, time.Since(started).Round(time.Millisecond))
		require.Empty(t, findings)
	}

	simple(t, conn, `SET session_replication_role = replica`,
		`DELETE FROM eventstream.events WHERE stream_id = 'order-77' AND version = 5`)
	require.Equal(t, []string{"gaps order-77"}, auditProblems(t, conn))
}

// The repository's Audit is eventstream.audit() and nothing else.
func TestAuditOfTheRepositoryIsTheDatabases(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	findings, err := b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Empty(t, findings)

	simple(t, session(t, b), `SET session_replication_role = replica`, `DELETE FROM eventstream.events WHERE position = 2`,
		`UPDATE eventstream.events SET tenant_id = 'x' WHERE position = 4`)
	findings, err = b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Len(t, findings, int(number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.audit()`)))
	require.Len(t, findings, 2)
	for _, f := range findings {
		require.Contains(t, []eventstream.StreamID{"order-1", "order-2"}, f.StreamID)
	}
}
