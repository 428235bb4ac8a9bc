package integration_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func texts(t testing.TB, b *bundle, sql string, args ...any) []string {
	t.Helper()
	r, err := b.pool.Query(b.ctx, sql, args...)
	require.NoError(t, err)
	got, err := pgx.CollectRows(r, pgx.RowTo[string])
	require.NoError(t, err)
	return got
}

// constant is the only function without a search_path whose body is a string: SELECT and a number, which is written at install.
const constant = "eventstream.partition_count()"

// A function finds what it names in pg_catalog first and in pg_temp last, where any role can put things; or its body was parsed once, when
// it was created. An empty search_path looks for types in pg_temp before anything else.
func TestEveryFunctionSetsItsSearchPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, []string{constant}, texts(t, b, `
		SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc AS p
		WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prosqlbody IS NULL
			AND (p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp']) IS NOT TRUE
		ORDER BY 1`))
	require.Equal(t, []string{"SELECT 32"}, texts(t, b, `SELECT prosrc FROM pg_catalog.pg_proc WHERE oid = $1::text::regprocedure`, constant))
	// What was parsed once runs with the rights of who calls it.
	require.Empty(t, texts(t, b, `SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc AS p
		WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prosecdef
			AND (p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp']) IS NOT TRUE`))
}

// openFunctions are those that docs/design.md lists as open to everybody who may use the schema.
func openFunctions(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/design.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\nOpen to PUBLIC: ")
	require.True(t, found, "docs/design.md, Roles")
	section, _, _ = strings.Cut(section, "\n\n")
	var names []string
	for _, m := range regexp.MustCompile("`([a-z_0-9]+)`").FindAllStringSubmatch(section, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return names
}

// Who may use the schema may execute what the documentation lists, and nothing else: neither functions, nor anything in a table.
func TestOnlyTheDocumentedFunctionsAreOpenToPublic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, openFunctions(t), texts(t, b, `
		SELECT DISTINCT p.proname::text FROM pg_catalog.pg_proc AS p
		CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
		WHERE p.pronamespace = 'eventstream'::regnamespace AND a.grantee = 0
		ORDER BY 1`))
	require.Empty(t, texts(t, b, `
		SELECT c.relname::text FROM pg_catalog.pg_class AS c
		CROSS JOIN LATERAL aclexplode(c.relacl) AS a
		WHERE c.relnamespace = 'eventstream'::regnamespace AND a.grantee = 0
		UNION ALL
		SELECT n.nspname::text FROM pg_catalog.pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
		WHERE n.nspname = 'eventstream' AND a.grantee = 0`))
}

// A trigger function on a table of somebody else's evaluates that table's types with the rights of its owner: nobody else may have it.
func TestTriggerFunctionsAreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NotEmpty(t, texts(t, b, `SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc AS p
		WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prorettype = 'trigger'::regtype`))
	require.Empty(t, texts(t, b, `
		SELECT p.oid::regprocedure::text || ' for ' || a.grantee::regrole
		FROM pg_catalog.pg_proc AS p
		CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
		WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prorettype = 'trigger'::regtype AND a.grantee <> p.proowner`))
}

// A function that may write is for whom the owner names: no function that is open to PUBLIC runs with the rights of its owner, but for
// those that read a sequence, locks, one row of log_state, or who is alive.
func TestNoOpenFunctionWritesAsTheOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, []string{"last_position", "live_members", "stable_position"}, texts(t, b, `
		SELECT DISTINCT p.proname::text FROM pg_catalog.pg_proc AS p
		CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
		WHERE p.pronamespace = 'eventstream'::regnamespace AND a.grantee = 0 AND p.prosecdef
		ORDER BY 1`))
}
