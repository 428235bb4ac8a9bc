// Package reference writes the pages of the manual that follow from the code: docs/reference-sql.md from the catalog of a migrated database, and
// docs/reference-config.md from the comments of the configuration structs. `make generate` writes them, and tests compare.
package reference

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Functions that nobody but the owner calls are left out, unless the design names them among the rights of a role.
const functionsQuery = `
SELECT
    p.proname::text AS name,
    coalesce(pg_catalog.obj_description(p.oid, 'pg_proc'), '') AS comment,
    pg_catalog.pg_get_function_arguments(p.oid) AS arguments,
    pg_catalog.pg_get_function_result(p.oid) AS result,
    EXISTS (
        SELECT FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS a
        WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') AS open
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'pg_catalog.trigger'::regtype
ORDER BY p.proname COLLATE "C", pg_catalog.pg_get_function_identity_arguments(p.oid) COLLATE "C"`

const relationsQuery = `
SELECT
    c.relname::text AS name,
    c.relkind::text AS kind,
    coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') AS comment,
    pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS columns,
    pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types,
    pg_catalog.array_agg(coalesce(pg_catalog.col_description(c.oid, a.attnum), '') ORDER BY a.attnum) AS comments
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind IN ('r', 'v') AND c.relname <> 'goose_db_version'
GROUP BY c.oid
ORDER BY c.relname COLLATE "C"`

type function struct {
	Name, Comment, Arguments, Result string
	Open                             bool
}

type relation struct {
	Name, Kind, Comment      string
	Columns, Types, Comments []string
}

const sqlHead = `# Reference: SQL

<!-- Written by "make generate" from the comments of the catalog; not edited by hand. -->

Functions and views of schema ` + "`eventstream`" + `, as a migrated database describes them; in psql, ` + "`\\df+ eventstream.*`" + ` and ` +
	"`\\d+ eventstream.*`" + `.
What is for the inside alone is left out: [schema/](schema/README.md) has a file for each object. The rights that roles need are in
[design.md](design.md#roles).
`

// SQL gives docs/reference-sql.md. The design is docs/design.md, whose part on roles names the functions that are for roles with a right.
func SQL(ctx context.Context, conn *pgx.Conn, design string) (string, error) {
	rows, err := conn.Query(ctx, functionsQuery)
	if err != nil {
		return "", err
	}
	functions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[function])
	if err != nil {
		return "", err
	}
	rows, err = conn.Query(ctx, relationsQuery)
	if err != nil {
		return "", err
	}
	relations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
	if err != nil {
		return "", err
	}
	granted := grantedFunctions(design)
	if len(granted) == 0 {
		return "", fmt.Errorf("docs/design.md names no function in its table of roles")
	}

	var page strings.Builder
	page.WriteString(sqlHead)
	writeFunctions(&page, "Functions that need a right", functions, func(f function) bool { return !f.Open && granted[f.Name] })
	writeFunctions(&page, "Functions for everybody who may use the schema", functions, func(f function) bool { return f.Open })
	writeRelations(&page, "Views", "views", relations, "v")
	writeRelations(&page, "Tables", "tables", relations, "r")
	return page.String(), nil
}

// grantedFunctions gives what the rows of the design's table of roles name.
func grantedFunctions(design string) map[string]bool {
	_, roles, _ := strings.Cut(design, "\n## Roles\n")
	names := map[string]bool{}
	for _, line := range strings.Split(roles, "\n") {
		if strings.HasPrefix(line, "## ") {
			break
		}
		if strings.HasPrefix(line, "| ") {
			for _, match := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(line, -1) {
				names[match[1]] = true
			}
		}
	}
	return names
}

func writeFunctions(page *strings.Builder, title string, functions []function, wanted func(function) bool) {
	fmt.Fprintf(page, "\n## %s\n", title)
	for _, f := range functions {
		if !wanted(f) {
			continue
		}
		fmt.Fprintf(page, "\n### %s\n\n%s\n\n", f.Name, wrap(f.Comment))
		if f.Arguments == "" {
			fmt.Fprintf(page, "    %s()\n", f.Name)
		} else {
			fmt.Fprintf(page, "    %s(\n        %s)\n", f.Name, strings.Join(arguments(f.Arguments), ",\n        "))
		}
		if columns, table := strings.CutPrefix(f.Result, "TABLE("); table {
			fmt.Fprintf(page, "    RETURNS TABLE (\n        %s)\n", strings.Join(arguments(strings.TrimSuffix(columns, ")")), ",\n        "))
		} else {
			fmt.Fprintf(page, "    RETURNS %s\n", f.Result)
		}
	}
}

// arguments splits a list where a comma is outside of parentheses and quotes.
func arguments(list string) (parts []string) {
	depth, quoted, start := 0, false, 0
	for i, c := range list {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(list[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(list[start:]))
}

func writeRelations(page *strings.Builder, title, folder string, relations []relation, kind string) {
	fmt.Fprintf(page, "\n## %s\n", title)
	for _, r := range relations {
		if r.Kind != kind {
			continue
		}
		fmt.Fprintf(page, "\n### %s\n\n%s\n([definition](schema/%s/%s.sql))\n\n", r.Name, wrap(r.Comment), folder, r.Name)
		// Views have no comments on their columns: a list is shorter than a table.
		if strings.Join(r.Comments, "") == "" {
			for i := range r.Columns {
				fmt.Fprintf(page, "    %s %s\n", r.Columns[i], r.Types[i])
			}
			continue
		}
		page.WriteString("| Column | Type | |\n|---|---|---|\n")
		for i := range r.Columns {
			fmt.Fprintf(page, "| `%s` | %s | %s |\n", r.Columns[i], r.Types[i], cell(r.Comments[i]))
		}
	}
}

// cell is text for a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// width is how long a line of prose is at most.
const width = 150

// wrap breaks text into lines, and keeps it from being taken for something else than text.
func wrap(text string) string {
	text = strings.NewReplacer("<", "&lt;", "*", `\*`, "[", `\[`).Replace(text)
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return strings.Join(append(lines, line), "\n")
}
