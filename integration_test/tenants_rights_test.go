package integration_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// ourRoles are those that the migrations make.
var ourRoles = []string{"writer", "reader", "subscriber", "auditor", "eraser", "tenant", "all_tenants", "owner"}

// The table of rights in docs/security.md is what the catalog says. UPDATE_PAGE=1 writes it.
func TestRightsAreThoseOfTheMatrix(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- rights -->\n", "<!-- end of rights -->"
	b := setup(t)
	page, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(page), begin)
	require.True(t, found)
	matrix, after, found := strings.Cut(rest, end)
	require.True(t, found)
	want := rightsMatrix(t, b)
	if os.Getenv("UPDATE_PAGE") != "" {
		require.NoError(t, os.WriteFile("../docs/security.md", []byte(before+begin+want+end+after), 0o600))
		return
	}
	require.Equal(t, want, matrix, "UPDATE_PAGE=1 go test ./integration_test -run TestRightsAreThoseOfTheMatrix")
}

func rightsMatrix(t testing.TB, b *bundle) string {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `
		SELECT o.kind || ' `+"`' || o.name || '`'"+`, o.role, string_agg(DISTINCT o.privilege, ', ' ORDER BY o.privilege)
		FROM (
			SELECT 1 AS rank, 'schema' AS kind, n.nspname::text AS name, a.grantee::regrole::text AS role, a.privilege_type AS privilege
			FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a WHERE n.nspname = 'eventstream'
			UNION ALL
			SELECT CASE c.relkind WHEN 'r' THEN 2 WHEN 'S' THEN 3 ELSE 4 END, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' ELSE 'view' END,
				c.relname, a.grantee::regrole::text, a.privilege_type
			FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a WHERE c.relnamespace = 'eventstream'::regnamespace
			UNION ALL
			SELECT 5, 'function', p.proname, a.grantee::regrole::text, a.privilege_type
			FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(p.proacl) AS a WHERE p.pronamespace = 'eventstream'::regnamespace
		) AS o
		WHERE o.role LIKE 'eventstream\_%'
		GROUP BY o.rank, o.kind, o.name, o.role
		ORDER BY o.rank, o.name, o.role`)
	require.NoError(t, err)
	var objects []string
	rights := map[string]map[string]string{}
	var object, role, privileges string
	_, err = pgx.ForEachRow(rows, []any{&object, &role, &privileges}, func() error {
		if rights[object] == nil {
			rights[object] = map[string]string{}
			objects = append(objects, object)
		}
		rights[object][strings.TrimPrefix(role, "eventstream_")] = privileges
		return nil
	})
	require.NoError(t, err)
	var text strings.Builder
	fmt.Fprintf(&text, "| | %s |\n|%s\n", strings.Join(ourRoles[:7], " | "), strings.Repeat("---|", 8))
	for _, object := range objects {
		text.WriteString("| " + object)
		for _, role := range ourRoles[:7] {
			text.WriteString(" | " + rights[object][role])
		}
		text.WriteString(" |\n")
	}
	return text.String()
}

// Each of the roles but the one for tenants and the owner is for all tenants, and none of ours may log in.
func TestRolesAreForAllTenantsByBeingMembers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, role := range ourRoles {
		var login, all bool
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT rolcanlogin, pg_has_role(rolname, 'eventstream_all_tenants', 'USAGE')
			FROM pg_roles WHERE rolname = $1`, "eventstream_"+role).Scan(&login, &all), role)
		require.False(t, login, role)
		require.Equal(t, role != "tenant" && role != "owner", all, role)
	}
}

// Every table that could hold what is a tenant's is under row security, never by force, and every view reads as who asks.
func TestTenantsRowSecurityIsOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, []string{
		"archived_events", "archivings", "discarded_events", "erasures", "events", "log_marks", "parked_events", "partition_marks", "pending_events", "process_states",
		"rebuild_requests", "snapshots", "subscription_shards", "subscription_skips", "tenant_roles", "timers",
	}, texts(t, b, `SELECT relname::text FROM pg_class WHERE relnamespace = 'eventstream'::regnamespace AND relrowsecurity AND NOT relforcerowsecurity ORDER BY 1`))
	// But the one that the policies ask: what it reads of whom a login is bound to is not the policies' business again.
	require.Equal(t, []string{"session_tenant"}, texts(t, b, `SELECT relname::text FROM pg_class
		WHERE relnamespace = 'eventstream'::regnamespace AND relkind = 'v' AND (reloptions @> ARRAY['security_invoker=true']) IS NOT TRUE`))
	require.Empty(t, texts(t, b, `SELECT c.relname::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname IN ('tenant_id', 'stream_id')
		WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'r' AND NOT c.relrowsecurity`))
}

// An installer who may not create roles installs all the same, and the roles get their rights once somebody has made them. Here the
// roles are there already, as in every cluster with more than one store: giving them their rights again changes nothing.
func TestRolesGetTheirRightsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := rightsMatrix(t, b)
	execSQL(t, b.ctx, b.pool, `REVOKE ALL ON ALL TABLES IN SCHEMA eventstream FROM eventstream_reader, eventstream_tenant`)
	execSQL(t, b.ctx, b.pool, `DROP POLICY events_all_tenants ON eventstream.events`)
	require.NotEqual(t, before, rightsMatrix(t, b))
	require.Positive(t, number(t, b.ctx, b.pool, `SELECT eventstream.grant_roles()`))
	require.Equal(t, before, rightsMatrix(t, b))
	given(t, b, "order-1", 2)
	require.EqualValues(t, 2, number(t, b.ctx, roleWith(t, b, `SELECT ON eventstream.events`), `SELECT count(*) FROM eventstream.events`))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT eventstream.record_schema()`))
}

// Who is for all tenants has plans without the policies: nothing is looked at for them.
func TestForAllTenantsNothingIsFiltered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 3)
	plan := func(role string) string {
		rows, err := connect(t, b.dsn, role).Query(b.ctx, `EXPLAIN SELECT * FROM eventstream.events WHERE stream_id = 'order-1'`)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return strings.Join(lines, "\n")
	}
	all := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT eventstream_reader TO `+all)
	require.Equal(t, plan(""), plan(all))
	require.NotContains(t, plan(all), "tenant")
	require.Contains(t, plan(tenantLogin(t, b)), "tenant_roles")
}
