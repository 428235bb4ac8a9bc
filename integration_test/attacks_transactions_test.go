package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// attackStep is a statement of a session and what becomes of it: a SQLSTATE, or "" when it is taken.
type attackStep struct {
	sql  string
	code string
}

// transactionAttacks are sessions that use transactions, savepoints and handlers to get past the gate, each with the streams that
// it leaves. Between steps the session is as an application's would be: after an error it goes back to its savepoint.
var transactionAttacks = []struct {
	name  string
	steps []attackStep
	left  string
}{
	{"good row in a savepoint that rolls back, then the version after it", []attackStep{
		{`BEGIN`, ""},
		{`SAVEPOINT s`, ""},
		{values(4), ""},
		{`ROLLBACK TO s`, ""},
		{values(5), "ES002"},
		{`ROLLBACK`, ""},
	}, "order-1@3 order-2@2"},
	{"good row in a savepoint that rolls back, then the same again", []attackStep{
		{`BEGIN`, ""},
		{`SAVEPOINT s`, ""},
		{values(4), ""},
		{`ROLLBACK TO s`, ""},
		{values(4), ""},
		{values(5), ""},
		{`COMMIT`, ""},
	}, "order-1@5 order-2@2"},
	{"nested savepoints, the outer one rolls back", []attackStep{
		{`BEGIN`, ""},
		{values(4), ""},
		{`SAVEPOINT a`, ""},
		{values(5), ""},
		{`SAVEPOINT b`, ""},
		{values(6), ""},
		{`RELEASE b`, ""},
		{`SAVEPOINT c`, ""},
		{values(8), "ES002"},
		{`ROLLBACK TO c`, ""},
		{values(7), ""},
		{`ROLLBACK TO a`, ""},
		{`SAVEPOINT d`, ""},
		{values(8), "ES002"},
		{`ROLLBACK TO d`, ""},
		{values(6), "ES002"},
		{`ROLLBACK TO d`, ""},
		{values(5, 6), ""},
		{`COMMIT`, ""},
	}, "order-1@6 order-2@2"},
	{"UPDATE in a savepoint that rolls back", []attackStep{
		{`BEGIN`, ""},
		{`SAVEPOINT s`, ""},
		{`UPDATE eventstream.events SET payload = '{"a": 1}'`, "ES004"},
		{`ROLLBACK TO s`, ""},
		{values(10), "ES002"},
		{`ROLLBACK TO s`, ""},
		{values(4), ""},
		{`COMMIT`, ""},
	}, "order-1@4 order-2@2"},
	{"new stream in a savepoint that rolls back, then its second version", []attackStep{
		{`BEGIN`, ""},
		{`SAVEPOINT s`, ""},
		{insertSQL(rows(order9(1))), ""},
		{`ROLLBACK TO s`, ""},
		{insertSQL(rows(order9(2))), "ES002"},
		{`ROLLBACK TO s`, ""},
		{insertSQL(rows(order9(1).of("acme"))), ""},
		{`COMMIT`, ""},
	}, "order-1@3 order-2@2 order-9@1"},
	{"whole transaction rolls back, then the version after it", []attackStep{
		{`BEGIN`, ""},
		{values(4, 5), ""},
		{`ROLLBACK`, ""},
		{values(6), "ES002"},
	}, "order-1@3 order-2@2"},
	{"position burnt in a savepoint, given by hand afterwards", []attackStep{
		{`BEGIN`, ""},
		{`SAVEPOINT s`, ""},
		{values(4), ""}, // Position 8.
		{`ROLLBACK TO s`, ""},
		{insertSQL(rows(order1(4).at(6))), "ES006"},
		{`ROLLBACK TO s`, ""},
		{insertSQL(rows(order1(4).at(8_000))), "ES006"},
		{`ROLLBACK TO s`, ""},
		{values(4), ""},
		{`COMMIT`, ""},
	}, "order-1@4 order-2@2"},
	{"an aborted transaction stays aborted", []attackStep{
		{`BEGIN`, ""},
		{values(4), ""},
		{values(6), "ES002"},
		{values(5), "25P02"},
		{`COMMIT`, ""},
	}, "order-1@3 order-2@2"},
	{"two-phase commit, if allowed, keeps the rule", []attackStep{
		{`BEGIN`, ""},
		{values(5), "ES002"},
		{`PREPARE TRANSACTION 'x'`, ""}, // Rolls back, since it failed.
		{values(5), "ES002"},
	}, "order-1@3 order-2@2"},
	{"handlers around each row: bad rows go, good rows stay", []attackStep{
		{`DO $d$
		DECLARE v bigint;
		BEGIN
			FOREACH v IN ARRAY ARRAY[6, 4, 4, 6, 0, 5, 3, 5, 7, 6] LOOP
				BEGIN
					INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
					VALUES ('order-1', v, 5, 't', '{}');
				EXCEPTION WHEN OTHERS THEN NULL;
				END;
			END LOOP;
		END $d$`, ""},
	}, "order-1@6 order-2@2"},
	{"procedure that commits in its middle", []attackStep{
		{`CREATE PROCEDURE pg_temp.p() LANGUAGE plpgsql AS $p$ BEGIN ` + values(4) + `; COMMIT; ` + values(6) + `; END $p$`, ""},
		{`CALL pg_temp.p()`, "ES002"},
	}, "order-1@4 order-2@2"},
	{"cursor that reads while rows enter", []attackStep{
		{`BEGIN`, ""},
		{`DECLARE c CURSOR FOR SELECT version FROM eventstream.events WHERE stream_id = 'order-1'`, ""},
		{values(4), ""},
		{`FETCH ALL FROM c`, ""},
		{values(5), ""},
		{`COMMIT`, ""},
	}, "order-1@5 order-2@2"},
}

func TestAttacksInTransactionsAndSavepointsAreRefused(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for who, grant := range attackers {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			for _, a := range transactionAttacks {
				t.Run(a.name, func(t *testing.T) {
					t.Parallel()
					b := attackStore(t)
					conn := connect(t, b.dsn, grant(t, b))
					for n, step := range a.steps {
						err := simpleErr(b.ctx, conn, step.sql)
						want := step.code
						if who == "writer" && (want == "ES004" || want == "ES006") {
							want = denied // Of changing an event, and of giving a position.
						}
						if want == "" {
							require.NoError(t, err, "step %d: %s", n, step.sql)
						} else {
							requireSQLState(t, err, want)
						}
					}
					requireWatermarks(t, b.pool, a.left)
					requireAuditClean(t, b)
				})
			}
		})
	}
}

// What looks odd and keeps the rule is taken, whoever does it: the gate refuses gaps, not SQL.
func TestUnusualInsertsThatLeaveNoGapAreTaken(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	const columns = `eventstream.events (stream_id, version, partition_id, type, payload)`
	cases := []struct{ name, sql, left string }{
		{"trigger of another table", inTrigger(values(4)), "order-1@4 order-2@2"},
		{"trigger of another table, for each of many rows", `CREATE TEMP TABLE mine (n integer);
			CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
				INSERT INTO ` + columns + ` VALUES ('order-1', NEW.n, 5, 't', '{}'); RETURN NULL; END $f$;
			CREATE TRIGGER f AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pg_temp.f();
			INSERT INTO mine SELECT generate_series(4, 103)`, "order-1@103 order-2@2"},
		{"function in SQL", inFunction("sql", values(4, 5)), "order-1@5 order-2@2"},
		{"function in plpgsql", inFunction("plpgsql", values(4)+"; "+values(5)), "order-1@5 order-2@2"},
		{"DO block", inDo(values(4)), "order-1@4 order-2@2"},
		{"error that is caught", swallowing(values(5), values(4)), "order-1@4 order-2@2"},
		{"prepared statement", `PREPARE p (bigint) AS INSERT INTO ` + columns + ` VALUES ('order-1', $1, 5, 't', '{}');` +
			strings.Join(executes(4, 20), ";"), "order-1@20 order-2@2"},
		{"CTE", `WITH ins AS (` + values(4) + ` RETURNING *) SELECT count(*) FROM ins`, "order-1@4 order-2@2"},
		{"CTE that feeds another table", `CREATE TEMP TABLE copies (LIKE eventstream.events);
			WITH ins AS (` + values(4, 5) + ` RETURNING *) INSERT INTO copies SELECT * FROM ins`, "order-1@5 order-2@2"},
		{
			"two CTEs of two streams", `WITH a AS (` + values(4, 5) + `), b AS (` + insertSQL(rows(order2(3))) + `) SELECT 1`,
			"order-1@5 order-2@3",
		},
		{"two CTEs of one stream, the second after the first", `WITH a AS (` + values(4) + ` RETURNING version), b AS (
			INSERT INTO ` + columns + ` SELECT 'order-1', a.version + 1, 5, 't', '{}' FROM a) SELECT 1`, "order-1@5 order-2@2"},
		{
			"INSERT ... SELECT of many streams, mixed", `INSERT INTO ` + columns + `
			SELECT 'new-' || s, v, s, 't', '{}' FROM generate_series(0, 2) AS s, generate_series(1, 100) AS v ORDER BY v, md5(s || '-' || v)`,
			"new-0@100 new-1@100 new-2@100 order-1@3 order-2@2",
		},
		{
			"INSERT ... SELECT of many streams, one by one, falling", `INSERT INTO ` + columns + `
			SELECT 'new-' || s, v, s, 't', '{}' FROM generate_series(0, 2) AS s, generate_series(1, 100) AS v ORDER BY s DESC, v`,
			"new-0@100 new-1@100 new-2@100 order-1@3 order-2@2",
		},
		{
			"INSERT ... SELECT from the table itself", `INSERT INTO ` + columns + `
			SELECT 'copy-' || stream_id, version, partition_id, type, payload FROM eventstream.events ORDER BY position`,
			"copy-order-1@3 copy-order-2@2 order-1@3 order-2@2",
		},
		{
			"INSERT ... SELECT of nothing", `INSERT INTO ` + columns + ` SELECT 'order-1', 9, 5, 't', '{}' WHERE false`,
			"order-1@3 order-2@2",
		},
		{"ON CONFLICT DO NOTHING without a conflict", values(4) + ` ON CONFLICT DO NOTHING`, "order-1@4 order-2@2"},
		{"ON CONFLICT DO NOTHING that drops what is there", values(2, 3, 4, 5) + ` ON CONFLICT DO NOTHING`, "order-1@5 order-2@2"},
		{"MERGE", mergeSource + `WHEN NOT MATCHED THEN INSERT (stream_id, version, partition_id, type, payload)
			VALUES (v.stream_id, v.version - 1, 5, 't', '{}')`, "order-1@4 order-2@2"},
		{"updatable view", `CREATE TEMP VIEW v AS SELECT stream_id, version, partition_id, type, payload FROM eventstream.events;
			INSERT INTO v VALUES ('order-1', 4, 5, 't', '{}')`, "order-1@4 order-2@2"},
		{"constraints deferred", `SET CONSTRAINTS ALL DEFERRED; ` + values(4) + `; SET CONSTRAINTS ALL IMMEDIATE`, "order-1@4 order-2@2"},
		{"serializable", `SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; ` + values(4) + `; ` + values(5), "order-1@5 order-2@2"},
		{"repeatable read", `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ` + values(4) + `; ` + values(5), "order-1@5 order-2@2"},
		{"thousand events at once", `INSERT INTO ` + columns + `
			SELECT 'order-1', v, 5, 't', '{}' FROM generate_series(4, 1003) AS v`, "order-1@1003 order-2@2"},
	}
	for who, grant := range attackers {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			role := grant(t, b)
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					conn := connect(t, b.dsn, role)
					simple(t, conn, `BEGIN`, c.sql, `RESET SESSION AUTHORIZATION`)
					requireWatermarks(t, conn, c.left)
					require.Empty(t, auditProblems(t, conn))
					simple(t, conn, `ROLLBACK`)
				})
			}
		})
	}
}

func executes(first, last int) (out []string) {
	for v := first; v <= last; v++ {
		out = append(out, fmt.Sprintf("EXECUTE p (%d)", v))
	}
	return out
}

// An append inside an INSERT: the inner one goes through the gate while the outer one runs.
func TestAppendInsideAnInsertKeepsTheRule(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	conn := connect(t, b.dsn, ownerRole(t, b))
	nested := func(version string) string {
		return `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			SELECT 'order-1', ` + version + `, 5, 't', '{}' FROM (SELECT eventstream.append('order-1', 't') AS v OFFSET 0) AS a`
	}
	requireSQLState(t, simpleErr(b.ctx, conn, nested("a.v")), "23505")
	requireSQLState(t, simpleErr(b.ctx, conn, nested("a.v + 2")), "ES002")
	requireWatermarks(t, b.pool, "order-1@3 order-2@2")

	simple(t, conn, nested("a.v + 1"))
	requireWatermarks(t, b.pool, "order-1@5 order-2@2")
	requireAuditClean(t, b)
}
