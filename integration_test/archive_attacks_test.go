package integration_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// allColumns are those of events, in their order.
const allColumns = `position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata`

// moving puts versions of person-1 into the archive by hand, with what an attack makes of their columns.
func moving(columns, where string) string {
	return `INSERT INTO eventstream.archived_events (` + allColumns + `) SELECT ` + columns + ` FROM eventstream.events WHERE stream_id = 'person-1' AND ` + where
}

// archiveAttacks change what is archived, and what is not, past archive(); versions 2 and 3 of person-1 are archived, 4 to 6 are not.
var archiveAttacks = map[string]string{
	"an event removed":                 `DELETE FROM eventstream.events WHERE stream_id = 'person-1' AND version = 6`,
	"one from the middle":              `DELETE FROM ONLY eventstream.events WHERE stream_id = 'person-1' AND version = 4`,
	"an archived one, through events":  `DELETE FROM eventstream.events WHERE stream_id = 'person-1' AND version = 3`,
	"all of a stream":                  `DELETE FROM eventstream.events WHERE stream_id = 'person-1'`,
	"no row":                           `DELETE FROM eventstream.events WHERE false`,
	"by MERGE":                         `MERGE INTO eventstream.events AS e USING (SELECT 4 AS v) AS s ON e.version = s.v WHEN MATCHED THEN DELETE`,
	"an archived event changed":        `UPDATE eventstream.archived_events SET payload = '{}' WHERE version = 3`,
	"to what it is":                    `UPDATE eventstream.archived_events SET payload = payload`,
	"erased without a record":          `UPDATE eventstream.archived_events SET ` + blanked + ` WHERE version = 3`,
	"changed through events":           `UPDATE eventstream.events SET payload = '{}' WHERE stream_id = 'person-1' AND version = 3`,
	"erased through events":            `UPDATE eventstream.events SET ` + blanked + ` WHERE stream_id = 'person-1' AND version = 3`,
	"an archived event removed":        `DELETE FROM eventstream.archived_events WHERE version = 3`,
	"no archived row":                  `DELETE FROM eventstream.archived_events WHERE false`,
	"all of them":                      `TRUNCATE eventstream.archived_events`,
	"all events":                       `TRUNCATE eventstream.events`,
	"all but the archived ones":        `TRUNCATE ONLY eventstream.events`,
	"by MERGE in the archive":          `MERGE INTO eventstream.archived_events AS a USING (SELECT 3 AS v) AS s ON a.version = s.v WHEN MATCHED THEN DELETE`,
	"the last one moved":               moving(allColumns, `version >= 4`),
	"out of order":                     moving(allColumns, `version = 5`),
	"all in one with another stream's": moving(allColumns, `version = 4`) + ` OR stream_id = 'order-1' AND version = 6`,
	"an event that never was": `INSERT INTO eventstream.archived_events (stream_id, version, type, partition_id, payload)
		VALUES ('person-1', 4, 'a', 0, '{}')`,
	"of a stream that never was": `INSERT INTO eventstream.archived_events (stream_id, version, type, partition_id, payload)
		VALUES ('person-9', 2, 'a', 0, '{}')`,
	"between two streams": moving(`position, version, event_id, occurred_at, recorded_at, partition_id, 'order-1', tenant_id, type, payload, data, metadata`,
		`version = 4`),
	"with another payload": moving(`position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, '{}', data, metadata`,
		`version = 4`),
	"with a number printed otherwise": moving(`position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type,
		replace(payload::text, '"n": 4', '"n": 4.0')::jsonb, data, metadata`, `version = 4`),
	"without its data": moving(`position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, NULL, metadata`,
		`version = 4`),
	"with other metadata": moving(`position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, '{}'`,
		`version = 4`),
	"at another position": moving(`position + 1000, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata`,
		`version = 4`),
	"as another event": moving(`position, version, gen_random_uuid(), occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata`,
		`version = 4`),
	"at another time": moving(`position, version, event_id, occurred_at, now(), partition_id, stream_id, tenant_id, type, payload, data, metadata`,
		`version = 4`),
	"of another tenant": moving(`position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, 'rival', type, payload, data, metadata`,
		`version = 4`),
	"and put back": `INSERT INTO eventstream.events SELECT * FROM eventstream.archived_events WHERE version = 3`,
	"moved, and left out": `WITH m AS (` + moving(allColumns, `version = 4`) + ` RETURNING 1)
		DELETE FROM eventstream.events WHERE stream_id = 'person-1' AND version = 5`,
	"moved and removed in one": `WITH m AS (` + moving(allColumns, `version = 4`) + ` RETURNING 1)
		DELETE FROM ONLY eventstream.events WHERE stream_id = 'person-1' AND version = 4`,
	"a setting": `SET eventstream.archive = 'on'; DELETE FROM eventstream.events WHERE stream_id = 'person-1' AND version = 4`,
}

// The guards let through what archive() does, and nothing else, whoever tries: the owner, a superuser, a writer. What is refused differs:
// ES004 mostly, 23505 for what is there already, ES006 for what has a position of its own.
func TestArchivingIsTheOnlyWayOutOfEvents(t *testing.T) {
	t.Parallel()
	b, _, kept := archiveStore(t)
	require.Equal(t, int64(2), archive(t, b, "person-1", 4))
	before := contents(t, b.pool)
	superuser := session(t, b)
	writer := connect(t, b.dsn, writerRole(t, b))
	sessions := map[string]*pgx.Conn{"superuser": superuser, "owner": connect(t, b.dsn, ownerRole(t, b)), "writer": writer}
	for name, sql := range archiveAttacks {
		for who, on := range sessions {
			err := simpleErr(b.ctx, on, sql)
			require.Error(t, err, "%s: %s", who, name)
			if who == "writer" {
				require.Equal(t, "42501", sqlState(err), "%s: %v", name, err)
			} else {
				require.Contains(t, map[bool][]string{false: {"ES004"}, true: {"ES006", "23505"}}[name == "and put back"], sqlState(err), "%s: %s: %v", who, name, err)
			}
			require.NoError(t, simpleErr(b.ctx, on, `ROLLBACK`))
			require.Equal(t, [2]string{"1 4 5 6", "2 3"}, versionsIn(t, b, "person-1"), "%s: %s", who, name)
		}
	}
	require.ErrorContains(t, simpleErr(b.ctx, writer, `SELECT eventstream.archive('person-1', 4)`), "permission denied for function")
	require.Equal(t, before, contents(t, b.pool))
	require.Empty(t, sealFaults(t, b, &kept))
	requireAuditClean(t, b)
	// What archive() does by its statement, the owner may do by hand: the rules look at what is done.
	simple(t, superuser, moving(allColumns, `version = 4`))
	require.Equal(t, [2]string{"1 5 6", "2 3 4"}, versionsIn(t, b, "person-1"))
	require.Equal(t, before, contents(t, b.pool))
	// The right to archive() is all that it takes; the roles that read, write, audit or act for a tenant have it not.
	for _, given := range []string{"writer", "reader", "subscriber", "auditor", "tenant"} {
		role := newRole(t, b)
		execSQL(t, b.ctx, b.pool, `GRANT eventstream_`+given+` TO `+role)
		requireSQLStateOf(t, simpleErr(b.ctx, connect(t, b.dsn, role), `SELECT eventstream.archive('person-1', 9)`), "42501", "%s", given)
	}
	for _, grants := range []string{
		`GRANT USAGE ON SCHEMA eventstream TO %s; GRANT EXECUTE ON FUNCTION eventstream.archive TO %[1]s`, `GRANT eventstream_eraser TO %s`,
	} {
		role := newRole(t, b)
		simple(t, superuser, fmt.Sprintf(grants, role))
		simple(t, connect(t, b.dsn, role), `SELECT eventstream.archive('person-1', 9)`)
	}
	require.Equal(t, [2]string{"1 6", "2 3 4 5"}, versionsIn(t, b, "person-1"))
	requireAuditClean(t, b)
}

// Who is bound to a tenant sees of the archive what is its own: through events, and where it has a right on the table itself.
func TestTheArchiveIsUnderRowSecurity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, tenant := range []string{string(acme), string(rival)} {
		simple(t, session(t, b), `SELECT eventstream.append('`+tenant+`-1', 'a', p_tenant_id => '`+tenant+`') FROM generate_series(1, 4);
			SELECT eventstream.archive('`+tenant+`-1', 4)`)
	}
	role := tenantLogin(t, b, acme)
	execSQL(t, b.ctx, b.pool, `GRANT SELECT ON eventstream.archived_events TO `+role)
	conn := connect(t, b.dsn, role)
	for _, table := range []string{"events", "archived_events"} {
		for tenant, want := range map[string]string{"acme": "acme-1", "rival": "", "": ""} {
			simple(t, conn, `SELECT set_config('eventstream.tenant_id', '`+tenant+`', false)`)
			var got string
			require.NoError(t, conn.QueryRow(b.ctx, `SELECT coalesce(string_agg(DISTINCT stream_id, ' '), '') FROM eventstream.`+table).Scan(&got))
			require.Equal(t, want, got, "%s of %q", table, tenant)
		}
	}
	repo := b.repo.ForTenant(acme)
	stream, err := repo.Load(b.ctx, "acme-1")
	require.NoError(t, err)
	require.Len(t, stream.EventsFrom(1), 4)
	_, err = repo.Load(b.ctx, "rival-1")
	require.Error(t, err)
}

// What is done past the guards shows in the audit: what the archive lacks, what is in both tables, and a table that readers would not read.
func TestAuditFindsDamageInTheArchive(t *testing.T) {
	t.Parallel()
	const back = `INSERT INTO eventstream.events SELECT * FROM eventstream.archived_events WHERE version = `
	const missing = "archive person-1: on record as archived, and not all in the archive"
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"an archived event removed": {
			`DELETE FROM eventstream.archived_events WHERE version = 3`,
			[]string{
				"archive person-1: archived without the version before it", missing, "archive person-1: the last of its stream, which stays in events",
				"gaps person-1", "seals: event missing",
			},
		},
		"the last archived one removed": {
			`DELETE FROM eventstream.archived_events WHERE version = 5`,
			[]string{missing, "archive person-1: the last of its stream, which stays in events", "gaps person-1", "seals: event missing"},
		},
		"all removed": {`TRUNCATE eventstream.archived_events`, []string{missing, "gaps person-1", "seals: event missing"}},
		"one in both": {back + `3`, []string{"archive person-1: in events as well", "gaps person-1", "order person-1: position not above that of the version before", "seals: events and leaves changed"}},
		"one moved back": {
			back + `3; DELETE FROM eventstream.archived_events WHERE version = 3`,
			[]string{"archive person-1: archived without the version before it", missing},
		},
		"the end moved too": {
			`INSERT INTO eventstream.archived_events SELECT * FROM ONLY eventstream.events WHERE stream_id = 'person-1' AND version = 6;
			DELETE FROM ONLY eventstream.events WHERE stream_id = 'person-1' AND version = 6`,
			[]string{"archive person-1: the last of its stream, which stays in events"},
		},
		"the id of an event": {
			`UPDATE eventstream.archived_events SET event_id = (SELECT event_id FROM ONLY eventstream.events WHERE position = 1) WHERE version = 3`,
			[]string{"archive person-1: in events as well", "seals person-1: event changed"},
		},
		"another position": {
			`UPDATE eventstream.archived_events SET position = 11 WHERE version = 3`,
			[]string{"archive person-1: in events as well", "order person-1: position not above that of the version before", "seals: event missing"},
		},
		"another tenant": {
			`UPDATE eventstream.archived_events SET tenant_id = 'rival' WHERE version = 3`,
			[]string{"seals person-1: event changed", "tenants person-1"},
		},
		"no part of events": {
			`ALTER TABLE eventstream.archived_events NO INHERIT eventstream.events`,
			append([]string{"archive person-1: the last of its stream, which stays in events", "gaps person-1", "seals: event missing"}, changed("events", "persistence p, row security t, forced f, rules 0")...),
		},
		"a guard disabled": {
			`ALTER TABLE eventstream.archived_events DISABLE TRIGGER archived_events_gate`,
			[]string{"triggers archived_events.archived_events_gate: disabled"},
		},
		"row security off": {
			`ALTER TABLE eventstream.archived_events DISABLE ROW LEVEL SECURITY`,
			changed("archived_events", "persistence p, row security f, forced f, rules 0"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, _ := archiveStore(t)
			require.Equal(t, int64(4), archive(t, b, "person-1", 100))
			tamper(t, b, c.sql)
			require.Equal(t, c.want, auditProblems(t, b.pool))
		})
	}
}

// A changed byte in the archive is found by the seals, with its place.
func TestSealsFindAChangeInTheArchive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, want string }{
		"changed": {`UPDATE eventstream.archived_events SET payload = '{}' WHERE version = 3`, "block 1: event changed: position 5, version 3 of stream \"person-1\""},
		"removed": {`DELETE FROM eventstream.archived_events WHERE version = 3`, "block 1: event missing: position 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, kept := archiveStore(t)
			archive(t, b, "person-1", 100)
			tamper(t, b, c.sql)
			require.Equal(t, []string{c.want}, sealFaults(t, b, &kept))
		})
	}
}
