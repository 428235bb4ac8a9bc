package integration_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// forgeries are values that somebody gives the two settings that the triggers keep for themselves.
var forgeries = map[string][]string{
	"eventstream.append_event": {"", "on", "off", "x; DROP TABLE eventstream.events"},
	"eventstream.in_flight": {
		"", " ", "0", "0 0", "1 1", "5 5", "-1 -1", "7 7", "8 8", "1000000 1000000", "9223372036854775807 9223372036854775807",
		"99999999999999999999 1", "x", "NULL", "0 1000000", "1000000 0",
		"0 0 0", "0 0 1", "5 5 -2147483648", "7 7 2147483647", "1000000 1000000 1", "0 0 x", "1 2 3 4",
	},
}

// A forged setting opens nothing: whatever is refused without it stays refused. What is good may be refused by a forged setting, which
// harms the forger alone.
func TestForgedSettingsOpenNothing(t *testing.T) {
	t.Parallel()
	attacks := []string{
		values(5), values(3), values(5, 4), values(4, 6), values(0),
		insertSQL(rows(order9(2))),
		insertSQL(rows(order1(4).of("acme"))),
		insertSQL(rows(order1(4).in(6))),
		// Burnt positions: TestAPositionByHandIsRefused.
		insertSQL(rows(order1(4).at(1_000_000))),
		insertSQL(rows(order9(1).at(-5))),
		`UPDATE eventstream.events SET payload = '{"a": 1}'`,
		`DELETE FROM eventstream.events`,
		`TRUNCATE eventstream.events CASCADE`,
		`UPDATE eventstream.pending_events SET version = 9`,
		`TRUNCATE eventstream.pending_events`,
		`UPDATE eventstream.store SET partition_count = 16`,
		values(3) + ` ON CONFLICT (stream_id, version) DO UPDATE SET type = 'x'`,
	}
	for who, grant := range attackers {
		for setting, values := range forgeries {
			t.Run(who+"/"+setting, func(t *testing.T) {
				t.Parallel()
				b := attackStore(t)
				role := grant(t, b)
				before := contents(t, b.pool)
				for _, value := range values {
					t.Run(fmt.Sprintf("%q", value), func(t *testing.T) {
						forged := fmt.Sprintf(`SELECT set_config('%s', '%s', true)`, setting, value)
						conn := connect(t, b.dsn, role)
						for _, sql := range attacks {
							requireRefusedAnyhow(t, b, conn, forged, sql)
						}
						// Set for the session, and from inside the statement, after the first trigger ran.
						requireRefusedAnyhow(t, b, conn, forged, forgedWithin(setting, value, 5))
						simple(t, conn, fmt.Sprintf(`SELECT set_config('%s', '%s', false)`, setting, value))
						requireRefusedAnyhow(t, b, conn, ``, insertSQL(rows(order1(5))))
						require.NoError(t, conn.Close(b.ctx))
						require.Equal(t, before, contents(t, b.pool))
					})
				}
				requireAuditClean(t, b)
			})
		}
	}
}

// forgedWithin sets a setting while the rows of an INSERT are made: after the BEFORE trigger, before the gate.
func forgedWithin(setting, value string, version int64) string {
	return fmt.Sprintf(`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'order-1', %d, 5, 't', to_jsonb(set_config('%s', '%s', true))`, version, setting, value)
}

func requireRefusedAnyhow(t *testing.T, b *bundle, conn *pgx.Conn, forged, sql string) {
	t.Helper()
	tx, err := conn.Begin(b.ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(b.ctx)) }()
	if forged != "" {
		simple(t, conn, forged)
	}
	require.Error(t, simpleErr(b.ctx, conn, sql), "%s\n%s", forged, sql)
}

// A forged setting may hinder its forger, and nothing else: good rows either enter with everything right or are refused.
func TestForgedSettingsHarmNobody(t *testing.T) {
	t.Parallel()
	for setting, values := range forgeries {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			role := writerRole(t, b)
			for n, value := range values {
				conn := connect(t, b.dsn, role)
				version := int64(4)
				require.NoError(t, b.pool.QueryRow(b.ctx,
					`SELECT watermark + 1 FROM eventstream.streams WHERE stream_id = 'order-1'`).Scan(&version))
				for _, sql := range []string{
					insertSQL(rows(order1(version))), forgedWithin(setting, value, version), forgedWithin(setting, value, version+1),
					insertSQL(rows(attackRow{fmt.Sprintf("new-%d", n), 1, "default", 3, false, 0})),
				} {
					_ = simpleErr(b.ctx, conn, fmt.Sprintf(`BEGIN; SELECT set_config('%s', '%s', true); %s; COMMIT`, setting, value, sql))
					_ = simpleErr(b.ctx, conn, `ROLLBACK`)
				}
				require.NoError(t, conn.Close(b.ctx))
				requireAuditClean(t, b)
			}

			// Whoever comes next, on a connection that a forger left behind too, is not hindered.
			conn := connect(t, b.dsn, role)
			_ = simpleErr(b.ctx, conn, fmt.Sprintf(`SELECT set_config('%s', 'x', false)`, setting))
			simple(t, conn, `RESET ALL`, insertSQL(rows(order2(3))))
			requireAuditClean(t, b)
		})
	}
}

// A superuser's bypass of all triggers is possible, as of everything; the audit then reports the damage.
func TestReplicaRoleBypassIsReportedByTheAudit(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	simple(t, session(t, b), `SET session_replication_role = replica`, insertSQL(rows(order1(6), order2(3).of("default"))),
		`DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2`)
	require.Equal(t, []string{
		"gaps order-1",
		"tenants order-2",
	}, auditProblems(t, b.pool))
}
