package integration_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

var (
	docTime      = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?)?`)
	docUUID      = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	docRole      = regexp.MustCompile(`CREATE ROLE (\w+)`)
	docSeparator = regexp.MustCompile(`^[-+]+$`)
)

// docStatements splits a block where a line ends with a semicolon, which is all that our pages need. What psql keeps to
// itself is left out.
func docStatements(t *testing.T, text string) []string {
	t.Helper()
	var statements []string
	var statement strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, `\`) {
			require.Regexp(t, `^\\(set SHOW_CONTEXT never|pset null .*)$`, line, "not known here")
			continue
		}
		statement.WriteString(line + "\n")
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			statements = append(statements, statement.String())
			statement.Reset()
		}
	}
	require.Empty(t, strings.TrimSpace(statement.String()), "a statement without its semicolon")
	return statements
}

// docRoles gives each role that a page creates a name of its own for this run, since roles belong to the whole server, and
// drops it in the end.
func docRoles(t *testing.T, b *bundle, blocks []docBlock) *strings.Replacer {
	t.Helper()
	var names []string
	for _, block := range blocks {
		if block.language != "sql" {
			continue
		}
		for _, match := range docRole.FindAllStringSubmatch(block.text, -1) {
			role := match[1] + strings.ReplaceAll(uuid.NewString(), "-", "")
			names = append(names, match[1], role)
			t.Cleanup(func() {
				var made bool
				require.NoError(t, b.pool.QueryRow(context.Background(), `SELECT to_regrole($1) IS NOT NULL`, role).Scan(&made))
				if made { // the page may have failed before
					execSQL(t, context.Background(), b.pool, "DROP OWNED BY "+role+"; DROP ROLE "+role)
				}
			})
		}
	}
	return strings.NewReplacer(names...)
}

// psqlOutput runs a statement and gives what psql would show, but for the width of columns.
func psqlOutput(ctx context.Context, t *testing.T, conn *pgconn.PgConn, statement string) string {
	t.Helper()
	var out strings.Builder
	results := conn.Exec(ctx, statement)
	for results.NextResult() {
		reader := results.ResultReader()
		fields := reader.FieldDescriptions()
		result := reader.Read()
		if result.Err != nil {
			continue // Close gives it
		}
		if len(fields) > 0 {
			writeTable(&out, fields, result.Rows)
		}
		if !result.CommandTag.Select() {
			fmt.Fprintln(&out, result.CommandTag)
		}
	}
	err := results.Close()
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		fmt.Fprintf(&out, "%s:  %s\n", refusal.Severity, refusal.Message)
		if refusal.Detail != "" {
			fmt.Fprintf(&out, "DETAIL:  %s\n", refusal.Detail)
		}
		if refusal.Hint != "" {
			fmt.Fprintf(&out, "HINT:  %s\n", refusal.Hint)
		}
		return out.String()
	}
	require.NoError(t, err, statement)
	return out.String()
}

func writeTable(out *strings.Builder, fields []pgconn.FieldDescription, rows [][][]byte) {
	var header []string
	for _, field := range fields {
		header = append(header, field.Name)
	}
	fmt.Fprintln(out, strings.Join(header, " | "))
	for _, row := range rows {
		var cells []string
		for _, cell := range row {
			cells = append(cells, string(cell))
		}
		fmt.Fprintln(out, strings.Join(cells, " | "))
	}
	if len(rows) == 1 {
		fmt.Fprintln(out, "(1 row)")
	} else {
		fmt.Fprintf(out, "(%d rows)\n", len(rows))
	}
}

// normalOutput makes two runs comparable: times and UUIDs become words, and the width of columns does not count.
func normalOutput(text string) string {
	text = docTime.ReplaceAllString(text, "TIME")
	text = docUUID.ReplaceAllString(text, "UUID")
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		line = strings.Join(strings.Fields(line), " ")
		if line != "" && !docSeparator.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
