package integration_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// tenantTarget is a store in which the rival has what acme is after.
type tenantTarget struct {
	*bundle
	foreign eventstream.StreamID
	ids     []uuid.UUID
	login   string
	// before is what the rival has.
	before string
	// told is what the server told the attacker: rows, errors, notices.
	told *strings.Builder
}

// secret is what only the rival's events say.
var secret = regexp.MustCompile(`s3cr3t|rival\.kind`)

// newTenantTarget gives the rival events, pending ones, a snapshot and statistics, and acme a stream.
func newTenantTarget(t *testing.T) *tenantTarget {
	t.Helper()
	target := &tenantTarget{bundle: setup(t), foreign: "order-foreign", told: &strings.Builder{}}
	theirs, ours := target.repo.ForTenant(rival), target.repo.ForTenant(acme)
	events := make([]eventstream.Event, 3)
	for i := range events {
		var err error
		events[i], err = eventstream.NewEvent("rival.kind", map[string]string{"is": "s3cr3t"}, eventstream.WithMetadata(map[string]any{"tags": []string{"tag-of-rival"}}))
		require.NoError(t, err)
	}
	_, err := theirs.Append(target.ctx, target.foreign, eventstream.Empty, events...)
	require.NoError(t, err)
	target.ids = idsOf(events)
	waits := anEvent(t, 1)
	waits.Version, waits.Type, waits.Payload = 5, "rival.kind", []byte(`{"is": "s3cr3t"}`)
	_, err = theirs.Ingest(target.ctx, "order-waits", waits)
	require.NoError(t, err)
	target.ids = append(target.ids, waits.ID)
	_, err = theirs.SaveSnapshot(target.ctx, snapshotAt(events, target.foreign, 2, "s3cr3t"))
	require.NoError(t, err)
	_, err = ours.Append(target.ctx, "order-own", eventstream.Empty, someEvents(t, 2)...)
	require.NoError(t, err)
	execSQL(t, target.ctx, target.pool, `ANALYZE`)
	target.login = tenantLogin(t, target.bundle, acme)
	execSQL(t, target.ctx, target.pool, `ALTER ROLE `+target.login+` LOGIN PASSWORD 'test'`)
	target.before = target.theirs(t)
	return target
}

// theirs is all that the rival has, as text.
func (a *tenantTarget) theirs(t testing.TB) (text string) {
	t.Helper()
	require.NoError(t, a.pool.QueryRow(a.ctx, `SELECT concat(
		(SELECT jsonb_agg(to_jsonb(e) ORDER BY e.position) FROM eventstream.events AS e WHERE e.tenant_id = 'rival'),
		(SELECT jsonb_agg(to_jsonb(p) ORDER BY p.version) FROM eventstream.pending_events AS p WHERE p.tenant_id = 'rival'),
		(SELECT jsonb_agg(to_jsonb(s)) FROM eventstream.snapshots AS s WHERE s.stream_id = 'order-foreign'))`).Scan(&text))
	return text
}

// attacker logs in as the tenant's login, truly, so that it can come back as nobody else.
func (a *tenantTarget) attacker(t testing.TB) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(a.dsn)
	require.NoError(t, err)
	prepareConfig(t, config)
	config.User, config.Password = a.login, "test"
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { fmt.Fprintln(a.told, n.Message, n.Detail, n.Where) }
	conn, err := pgx.ConnectConfig(a.ctx, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// try runs a text of statements, and gives all that the server tells about it.
func (a *tenantTarget) try(conn *pgx.Conn, sql string) string {
	a.told.Reset()
	results, err := conn.PgConn().Exec(a.ctx, sql).ReadAll()
	for _, result := range results {
		for _, row := range result.Rows {
			for _, value := range row {
				a.told.Write(value)
				a.told.WriteByte('|')
			}
		}
	}
	var cause *pgconn.PgError
	if errors.As(err, &cause) {
		fmt.Fprintln(a.told, cause.Code, cause.Message, cause.Detail, cause.Hint, cause.Where, cause.ConstraintName)
	}
	return a.told.String()
}

// requireNothingTold demands that what the server told is not the rival's, and that the rival's is as it was.
func (a *tenantTarget) requireNothingTold(t testing.TB, told, attack string, args ...any) {
	t.Helper()
	require.NotRegexp(t, secret, told, "%s %v", attack, args)
	for _, id := range a.ids {
		if !strings.Contains(attack, id.String()) {
			require.NotContains(t, told, id.String(), "%s %v", attack, args)
		}
	}
}

// Every function that a tenant's login may execute is called with what is the rival's, in the tenant's name, without one and in the
// rival's: functions that are added later are called too.
func TestTenantsNoFunctionTellsOfAnother(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	target := newTenantTarget(t)
	functions := functionsFor(t, target)
	require.Greater(t, len(functions), 60, "those open to PUBLIC, and the tenant's")
	conn := target.attacker(t)
	for _, setting := range []string{"acme", "", "rival"} {
		calls := 0
		for _, f := range functions {
			for _, call := range f.calls(target) {
				told := target.try(conn, `BEGIN; SELECT pg_catalog.set_config('eventstream.tenant_id', '`+setting+`', true); `+call)
				target.try(conn, `ROLLBACK`)
				target.requireNothingTold(t, told, call, setting)
				calls++
			}
		}
		require.Greater(t, calls, 300)
	}
	require.Equal(t, target.before, target.theirs(t))
}

// Every table and view is denied, or shows nothing of the rival's: also those that are added later.
func TestTenantsNoRelationTellsOfAnother(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	target := newTenantTarget(t)
	// Though somebody granted what nobody should: the policies hold then too, and views do not go past them.
	execSQL(t, target.ctx, target.pool, `GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+target.login)
	relations := texts(t, target.bundle, `SELECT c.oid::regclass::text FROM pg_class AS c
		WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY 1`)
	conn := target.attacker(t)
	for _, setting := range []string{"acme", "", "rival"} {
		for _, relation := range relations {
			for _, read := range []string{`SELECT r.*, r.* FROM %s AS r`, `COPY (SELECT * FROM %s) TO STDOUT`, `TABLE %s`} {
				told := target.try(conn, `SELECT pg_catalog.set_config('eventstream.tenant_id', '`+setting+`', false); `+fmt.Sprintf(read, relation))
				target.requireNothingTold(t, told, relation, setting)
				if relation != "eventstream.audit_log" { // it says which session writes, as pg_stat_activity does
					require.NotContains(t, strings.TrimPrefix(told, "rival|"), string(target.foreign), relation)
				}
			}
		}
	}
}

type attackedFunction struct {
	name  string
	types []string
}

func functionsFor(t testing.TB, target *tenantTarget) []attackedFunction {
	t.Helper()
	rows, err := target.pool.Query(target.ctx, `
		SELECT p.oid::regproc::text, ARRAY(SELECT format_type(a, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (a, n) ORDER BY u.n)
		FROM pg_proc AS p
		WHERE p.pronamespace = 'eventstream'::regnamespace AND has_function_privilege($1, p.oid, 'EXECUTE')
		ORDER BY 1, 2`, target.login)
	require.NoError(t, err)
	functions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f attackedFunction, err error) {
		return f, row.Scan(&f.name, &f.types)
	})
	require.NoError(t, err)
	return functions
}

// values are what an argument of a type may be.
func (a *tenantTarget) values(kind string) []string {
	id := a.ids[0].String()
	base, isArray := strings.CutSuffix(kind, "[]")
	values := map[string][]string{
		"text":                     {"'order-foreign'", "'rival'", "'order'", "'order-waits'"},
		"name":                     {"session_user", "'postgres'"},
		"bigint":                   {"1", "0", "3", "1000000"},
		"integer":                  {"1", "0", "1000"},
		"boolean":                  {"true", "false"},
		"uuid":                     {"'" + id + "'"},
		"bytea":                    {`'\x00'`},
		"timestamp with time zone": {"now()", "'-infinity'"},
		"interval":                 {"'0'"},
		"jsonb": {
			`'[{"tags": ["tag-of-rival"]}]'`, `'{"after": {"position": 1, "event_id": "` + id + `"}}'`, `'{"from": "latest"}'`,
			`'{"sequence": 2}'`, `'{"partition_sequences": {"0": 1}}'`,
		},
	}[base]
	if values == nil {
		values = []string{"NULL"}
	}
	for i := range values {
		if isArray {
			values[i] = "ARRAY[" + values[i] + "]"
		}
		values[i] += "::" + kind
	}
	return values
}

// calls are calls with values in many combinations, 40 at most.
func (f attackedFunction) calls(a *tenantTarget) (calls []string) {
	lists := [][]string{{}}
	for n, kind := range f.types {
		var longer [][]string
		values := a.values(kind)
		for i, list := range lists {
			for v := range values {
				if len(lists)*len(values) > 40 && v > 0 {
					break // one of them, in turn
				}
				longer = append(longer, append(list[:n:n], values[(i+v)%len(values)]))
			}
		}
		lists = longer
	}
	for _, list := range lists {
		calls = append(calls, fmt.Sprintf(`SELECT f.* FROM %s(%s) AS f`, f.name, strings.Join(list, ", ")))
	}
	return calls
}
