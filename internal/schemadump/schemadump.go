// Package schemadump writes what schema eventstream holds as text, one file an object, the same for the same migrations on every
// supported version of PostgreSQL. The files are committed as docs/schema, so a review sees what a migration really changes, and the
// history of a file is that of an object; they are for reading, and migrations are what installs.
package schemadump

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed sql
var queries embed.FS

// header is the first line of every file.
const header = "-- Written by \"make generate\" from migrations/; not edited by hand.\n"

// settings are those that a text of PostgreSQL's depends on.
const settings = `
SET LOCAL search_path = '';
SET LOCAL quote_all_identifiers = off;
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL TimeZone = 'UTC';
SET LOCAL bytea_output = 'hex';
SET LOCAL check_function_bodies = on;
`

// Files are the definitions of objects, by their paths below one directory, with slashes: functions/append_batch.sql.
type Files map[string]string

// Database is what Read reads from: a pool, a connection or a transaction.
type Database interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Read returns the definitions of all objects in schema eventstream, except goose's version table, in a fixed order. An object of a kind
// that it does not know is an error: nothing is left out in silence. It needs the right to create temporary objects, and leaves none.
func Read(ctx context.Context, db Database) (Files, error) {
	files := Files{}
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("schemadump: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for _, part := range []string{settings, query("helpers"), query("relations")} {
		if _, err := tx.Exec(ctx, part); err != nil {
			return nil, fmt.Errorf("schemadump: %w", err)
		}
	}
	if err := refuseUnknown(ctx, tx); err != nil {
		return nil, err
	}
	for _, kind := range []string{"schema", "types", "tables", "views", "sequences", "functions"} {
		if err := files.read(ctx, tx, kind); err != nil {
			return nil, fmt.Errorf("schemadump: %s: %w", kind, err)
		}
	}
	return files, nil
}

// query is one of the embedded files.
func query(name string) string {
	text, err := queries.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err) // it is compiled in
	}
	return string(text)
}

func refuseUnknown(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, query("unknown"))
	if err != nil {
		return fmt.Errorf("schemadump: %w", err)
	}
	unknown, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("schemadump: %w", err)
	}
	if len(unknown) > 0 {
		return errors.New("schemadump: no query in internal/schemadump/sql knows these kinds of objects: " + strings.Join(unknown, ", "))
	}
	return nil
}

// read adds the objects of one kind. Those of one name share a file.
func (f Files) read(ctx context.Context, tx pgx.Tx, kind string) error {
	rows, err := tx.Query(ctx, query(kind))
	if err != nil {
		return err
	}
	var directory, name, definition string
	_, err = pgx.ForEachRow(rows, []any{&directory, &name, &definition}, func() error {
		file := path.Join(directory, url.PathEscape(name)+".sql")
		if f[file] == "" {
			f[file] = header
		}
		f[file] += "\n" + trimLines(definition) + "\n"
		return nil
	})
	return err
}

// trimLines takes white space off the ends of lines, where versions of PostgreSQL differ.
func trimLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, " \n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return strings.Join(lines, "\n")
}
