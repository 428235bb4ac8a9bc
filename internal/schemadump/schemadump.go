// Package schemadump writes what schema eventstream holds as text, the same for the same migrations on every supported version of
// PostgreSQL. The dump is committed as docs/schema.sql, so a review sees what a migration really changes; it is for reading, and
// migrations are what installs.
package schemadump

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed dump.sql
var query string

const header = `-- Schema eventstream after all migrations. Written by "make generate", compared by "make verify"; not edited by hand.
`

// Querier is what Dump reads from: a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Dump returns the definitions of all objects in schema eventstream, except goose's version table, in a fixed order.
func Dump(ctx context.Context, db Querier) (string, error) {
	rows, err := db.Query(ctx, query)
	if err != nil {
		return "", fmt.Errorf("schemadump: %w", err)
	}
	definitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", fmt.Errorf("schemadump: %w", err)
	}
	var out strings.Builder
	out.WriteString(header)
	for _, d := range definitions {
		out.WriteString("\n" + trimLines(d) + "\n")
	}
	return out.String(), nil
}

// trimLines takes white space off the ends of lines, where versions of PostgreSQL differ.
func trimLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, " \n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return strings.Join(lines, "\n")
}
