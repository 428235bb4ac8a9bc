package integration_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/leftout"
)

// Facts of the catalog in testdata/catalog.sql are asserted by pgTAP, as an auditor may run them with pg_prove: columns, keys, rights,
// volatility, search_path and policies.
func TestCatalogFactsByPgTAP(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	if number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_catalog.pg_available_extensions WHERE name = 'pgtap'`) == 0 {
		leftout.Skip(t, errors.New("the server has no pgTAP: apt-get install postgresql-17-pgtap where it runs, or build the image anew "+
			"(docker rmi gapless-postgres:17-trixie)"))
	}
	conn := session(t, b)
	simple(t, conn, `CREATE SCHEMA tap; CREATE EXTENSION pgtap SCHEMA tap`)
	failed, asserted := tapResults(t, b, conn, "testdata/catalog.sql")
	require.Empty(t, failed)
	require.Greater(t, asserted, 300)

	// And each kind of assertion sees what it is about.
	for what, change := range map[string]string{
		"columns":     `ALTER TABLE eventstream.events ADD COLUMN extra text`,
		"keys":        `ALTER TABLE eventstream.events DROP CONSTRAINT events_event_id_key`,
		"rights":      `GRANT SELECT ON eventstream.events TO PUBLIC`,
		"execution":   `GRANT EXECUTE ON FUNCTION eventstream.run_audit TO PUBLIC`,
		"volatility":  `ALTER FUNCTION eventstream.audit() VOLATILE`,
		"search_path": `ALTER FUNCTION eventstream.audit() RESET search_path`,
		"definer":     `ALTER FUNCTION eventstream.audit() SECURITY DEFINER`,
		"policies":    `DROP POLICY snapshots_of_visible_streams ON eventstream.snapshots`,
		"triggers":    `DROP TRIGGER events_gate ON eventstream.events`,
	} {
		conn := session(t, b) // pgTAP counts for a session.
		simple(t, conn, `BEGIN`, change)
		failed, _ := tapResults(t, b, conn, "testdata/catalog.sql")
		require.NotEmpty(t, failed, what)
		simple(t, conn, `ROLLBACK`)
	}
}

// tapResults runs a file of pgTAP, and gives the lines of what failed.
func tapResults(t *testing.T, b *bundle, conn *pgx.Conn, file string) (failed []string, asserted int) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	simple(t, conn, `SET search_path = tap`)
	defer simple(t, conn, `RESET search_path`)
	for _, statement := range strings.Split(string(text), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		rows, err := conn.Query(b.ctx, statement, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, statement)
		for _, line := range lines {
			if strings.HasPrefix(line, "ok") {
				asserted++
			}
			if strings.HasPrefix(line, "not ok") {
				failed = append(failed, fmt.Sprintf("%.300s", line))
			}
		}
	}
	return failed, asserted
}
