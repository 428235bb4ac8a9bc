package integration_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// attackRow is a row that somebody puts into eventstream.events past every function that should be used.
type attackRow struct {
	stream    string
	version   int64
	tenant    string
	partition int
	placed    bool  // false: the position is left out, so that the database draws it
	position  int64 // by hand
}

// nextPosition stands for the one that the sequence gives next.
const nextPosition = math.MinInt64

// The store that every attack finds: order-1 (tenant default, partition 5) at version 3, with positions 1 to 3; order-2 (tenant acme,
// partition 6) at version 2, with positions 4 and 5; positions 6 and 7 burnt by a transaction that rolled back.
func attackStore(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	simple(t, session(t, b),
		`SELECT eventstream.append('order-1', 'order.placed', p_partition_id => 5) FROM generate_series(1, 3)`,
		`SELECT eventstream.append('order-2', 'order.placed', p_tenant_id => 'acme', p_partition_id => 6) FROM generate_series(1, 2)`,
		`BEGIN; SELECT eventstream.append('order-3', 'order.placed') FROM generate_series(1, 2); ROLLBACK`)
	return b
}

func order1(version int64) attackRow { return attackRow{"order-1", version, "default", 5, false, 0} }
func order2(version int64) attackRow { return attackRow{"order-2", version, "acme", 6, false, 0} }
func order9(version int64) attackRow { return attackRow{"order-9", version, "default", 9, false, 0} }

func (r attackRow) at(position int64) attackRow { r.placed, r.position = true, position; return r }
func (r attackRow) of(tenant string) attackRow  { r.tenant = tenant; return r }
func (r attackRow) in(partition int) attackRow  { r.partition = partition; return r }

type rowAttack struct {
	name       string
	rows       []attackRow
	code       string
	constraint string // for code 23505
}

func rows(r ...attackRow) []attackRow { return r }

// manyRows gives versions 1 to n of a new stream without one of them.
func manyRows(n, without int64) (out []attackRow) {
	for v := int64(1); v <= n; v++ {
		if v != without {
			out = append(out, order9(v))
		}
	}
	return out
}

var rowAttacks = []rowAttack{
	{"gap at start", rows(order9(2)), "ES002", ""},
	{"gap at start, many rows", rows(order9(2), order9(3), order9(4)), "ES002", ""},
	{"gap in the middle, above the last event", rows(order1(5)), "ES002", ""},
	{"gap in the middle, between rows", rows(order1(4), order1(6)), "ES002", ""},
	{"gap in the middle of a thousand rows", manyRows(1000, 500), "ES002", ""},
	{"gap at the end of the numbers", rows(order1(math.MaxInt64)), "ES002", ""},
	{"gap, with the tenant wrong too", rows(order2(9)), "ES002", ""},

	{"duplicate version", rows(order1(3)), "23505", "events_pkey"},
	{"duplicate version, the first", rows(order1(1)), "23505", "events_pkey"},
	{"duplicate version within the statement", rows(order1(4), order1(4)), "23505", "events_pkey"},
	{"duplicate version after a good row", rows(order1(4), order1(3)), "23505", "events_pkey"},

	{"version 0", rows(order1(0)), "ES008", ""},
	{"version 0 of a new stream", rows(order9(0)), "ES008", ""},
	{"version 0 before version 1", rows(order9(0), order9(1)), "ES008", ""},
	{"version negative", rows(order1(-1)), "ES008", ""},
	{"version most negative", rows(order9(math.MinInt64)), "ES008", ""},

	{"wrong tenant", rows(order1(4).of("acme")), "ES003", ""},
	{"wrong tenant after a good row", rows(order1(4), order1(5).of("acme")), "ES003", ""},
	{"wrong tenant before a good row", rows(order1(4).of("acme"), order1(5)), "ES003", ""},
	{"two tenants in a new stream", rows(order9(1), order9(2).of("acme")), "ES003", ""},
	{"two tenants in a new stream, in turns", rows(order9(1).of("b"), order9(2).of("a"), order9(3).of("b")), "ES003", ""},
	{"tenant that is none", rows(order9(1).of("a b")), "ES008", ""},
	{"tenant empty", rows(order9(1).of("")), "ES008", ""},

	{"wrong partition", rows(order1(4).in(6)), "ES007", ""},
	{"wrong partition after a good row", rows(order1(4), order1(5).in(6)), "ES007", ""},
	{"two partitions in a new stream", rows(order9(1), order9(2).in(10)), "ES007", ""},
	{"partition out of range", rows(order9(1).in(32)), "ES007", ""},
	{"partition far out of range", rows(order9(1).in(math.MaxInt32)), "ES007", ""},
	{"partition negative", rows(order9(1).in(-1)), "ES007", ""},

	{"stream id empty", rows(attackRow{"", 1, "default", 0, false, 0}), "ES008", ""},
	{"stream id with white space at its end", rows(attackRow{"order-9 ", 1, "default", 0, false, 0}), "ES008", ""},
	{"stream id too long", rows(attackRow{strings.Repeat("a", 129), 1, "default", 0, false, 0}), "ES008", ""},

	{"position of another event", rows(order1(4).at(2)), "23505", "events_position_key"},
	{"position that is burnt", rows(order1(4).at(6)), "ES006", ""},
	{"position that is burnt, in a new stream", rows(order9(1).at(7)), "ES006", ""},
	{"position that is next", rows(order1(4).at(nextPosition)), "ES006", ""},
	{"position that is next, in a new stream", rows(order9(1).at(nextPosition)), "ES006", ""},
	{"position far ahead", rows(order1(4).at(1_000_000)), "ES006", ""},
	{"position at the end of the numbers", rows(order1(4).at(math.MaxInt64)), "ES006", ""},
	{"position 0", rows(order9(1).at(0)), "ES006", ""},
	{"position negative", rows(order9(1).at(-1)), "ES006", ""},
	{"positions by hand, many", rows(order9(1).at(1001), order9(2).at(1002)), "ES006", ""},
	{"positions by hand, falling", rows(order9(1).at(1002), order9(2).at(1001)), "ES006", ""},

	{"rows not in version order", rows(order1(5), order1(4)), "ES006", ""},
	{"rows of a new stream not in version order", rows(order9(1), order9(3), order9(2)), "ES006", ""},
	{"rows not in version order, others between", rows(order1(5), order2(3), order1(4)), "ES006", ""},

	{"several streams, one with a gap, last", rows(order1(4), order2(3), order9(2)), "ES002", ""},
	{"several streams, one with a gap, first", rows(order1(5), order2(3), order9(1)), "ES002", ""},
	{"several streams, one with a gap between", rows(order1(4), order2(3), order2(5), order9(1)), "ES002", ""},
	{"several streams, one of another tenant", rows(order9(1), order1(4), order2(3).of("default")), "ES003", ""},
	{"several streams, one in another partition", rows(order9(1), order1(4).in(4), order2(3)), "ES007", ""},
	{"several streams, one with version 0", rows(order9(1), order1(4), attackRow{"order-8", 0, "default", 8, false, 0}), "ES008", ""},
	{"several streams, one exists already", rows(order9(1), order1(3), order2(3)), "23505", "events_pkey"},
}

// goodRows are what every way that refuses the attacks must take.
var goodRows = rows(order2(3), order9(1), order1(4), order9(2), order1(5), order9(3))

// rowWays are the ways to put rows into the table: what a writer does on a connection.
var rowWays = map[string]func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error{
	"insert": func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error {
		return simpleErr(ctx, conn, insertSQL(rows))
	},
	"insert overriding": func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error {
		// For an identity column, which position is not: it changes nothing here.
		return simpleErr(ctx, conn, strings.Replace(insertSQL(rows), " VALUES ", " OVERRIDING SYSTEM VALUE VALUES ", 1))
	},
	"prepared insert": func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error {
		_, err := conn.Exec(ctx, insertSQL(rows))
		return err
	},
	"insert select": func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error {
		sql := strings.Replace(insertSQL(rows), " VALUES ", " SELECT * FROM (VALUES ", 1)
		return simpleErr(ctx, conn, sql+") AS v")
	},
	"merge": func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error {
		columns, values, _ := strings.Cut(strings.TrimPrefix(insertSQL(rows), "INSERT INTO eventstream.events "), " VALUES ")
		return simpleErr(ctx, conn, `MERGE INTO eventstream.events AS e USING (VALUES `+values+`) AS v `+columns+`
			ON false WHEN NOT MATCHED THEN INSERT `+columns+` VALUES (v.`+strings.ReplaceAll(strings.Trim(columns, "()"), ", ", ", v.")+`)`)
	},
	"binary copy": func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error {
		columns := []string{"stream_id", "version", "tenant_id", "partition_id", "type", "payload", "position"}
		if !rows[0].placed {
			columns = columns[:6]
		}
		_, err := conn.CopyFrom(ctx, pgx.Identifier{"eventstream", "events"}, columns,
			pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
				r := rows[i]
				return []any{r.stream, r.version, r.tenant, r.partition, "t", []byte(`{}`), r.position}[:len(columns)], nil
			}))
		return err
	},
	"text copy": func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error {
		columns := "stream_id, version, tenant_id, partition_id, type, payload"
		if rows[0].placed {
			columns += ", position"
		}
		var text strings.Builder
		for _, r := range rows {
			fmt.Fprintf(&text, "%s\t%d\t%s\t%d\tt\t{}", r.stream, r.version, r.tenant, r.partition)
			if r.placed {
				fmt.Fprintf(&text, "\t%d", r.position)
			}
			text.WriteString("\n")
		}
		_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(text.String()),
			"COPY eventstream.events ("+columns+") FROM STDIN")
		return err
	},
}

func insertSQL(rows []attackRow) string {
	columns := "(stream_id, version, tenant_id, partition_id, type, payload"
	if rows[0].placed {
		columns += ", position"
	}
	values := make([]string, len(rows))
	for i, r := range rows {
		values[i] = fmt.Sprintf("('%s', '%d'::bigint, '%s', '%d'::integer, 't', '{}'::jsonb", r.stream, r.version, r.tenant, r.partition)
		if r.placed {
			values[i] += fmt.Sprintf(", '%d'::bigint", r.position)
		}
		values[i] += ")"
	}
	return "INSERT INTO eventstream.events " + columns + ") VALUES " + strings.Join(values, ", ")
}

// Raw rows that would break a stream are refused with their SQLSTATE, whoever writes them and however; nothing of the statement stays;
// and good rows are taken in the same way.
func TestAttacksByRowsAreRefused(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for who, grant := range attackers {
		for way, write := range rowWays {
			t.Run(who+"/"+way, func(t *testing.T) {
				t.Parallel()
				b := attackStore(t)
				role := grant(t, b)
				conn := connect(t, b.dsn, role)
				for _, a := range rowAttacks {
					if who == "writer" && a.rows[0].placed {
						a.code, a.constraint = denied, "" // Nobody asks which position: there is no right to give one.
					}
					t.Run(a.name, func(t *testing.T) { rowAttackIsRefused(t, b, conn, role, a, write) })
				}
				requireAuditClean(t, b)

				require.NoError(t, write(b.ctx, conn, goodRows))
				requireWatermarks(t, b.pool, "order-1@5 order-2@3 order-9@3")
				requireAuditClean(t, b)
			})
		}
	}
}

// rowAttackIsRefused makes the attack in a session of its own, where the position matters; in a session that drew positions before;
// and behind a savepoint in a transaction that writes before and after it.
func rowAttackIsRefused(t *testing.T, b *bundle, conn *pgx.Conn, role string, a rowAttack,
	write func(ctx context.Context, conn *pgx.Conn, rows []attackRow) error,
) {
	t.Helper()
	refused := func(conn *pgx.Conn, state string) {
		t.Helper()
		err := write(b.ctx, conn, resolve(t, b, a.rows))
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr, state)
		require.Equal(t, a.code, pgErr.Code, "%s: %v %s", state, pgErr, pgErr.Detail)
		require.Equal(t, a.constraint, pgErr.ConstraintName, "%s: %v", state, pgErr)
	}
	before := contents(t, b.pool)
	if a.rows[0].placed {
		fresh := connect(t, b.dsn, role)
		refused(fresh, "first in its session")
		require.NoError(t, fresh.Close(b.ctx))
	}
	refused(conn, "in a session that drew before")

	tx, err := conn.Begin(b.ctx)
	require.NoError(t, err)
	simple(t, conn, insertSQL(rows(attackRow{"other-1", 1, "default", 1, false, 0})), `SAVEPOINT s`)
	refused(conn, "in a transaction that drew before")
	simple(t, conn, `ROLLBACK TO s`, insertSQL(rows(attackRow{"other-1", 2, "default", 1, false, 0})))
	require.NoError(t, tx.Rollback(b.ctx))
	require.Equal(t, before, contents(t, b.pool), "something stayed")
}

// resolve gives rows their real positions.
func resolve(t *testing.T, b *bundle, in []attackRow) []attackRow {
	t.Helper()
	out := append([]attackRow(nil), in...)
	for i, r := range out {
		if r.placed && r.position == nextPosition {
			out[i].position = drawn(t, b) + 1
		}
	}
	return out
}
