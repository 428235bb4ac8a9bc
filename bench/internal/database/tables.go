package database

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Handle is what statements run on: a pool or a connection.
type Handle interface {
	Exec(ctx context.Context, statement string, arguments ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, statement string, arguments ...any) (pgx.Rows, error)
}

// Tables gives the tables of both sides, quoted. They are asked for, since a benchmark must not depend on how Gapless keeps its events:
// what is a view in one version can be a table in another.
func Tables(ctx context.Context, on Handle) ([]string, error) {
	rows, err := on.Query(ctx, `
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('eventstream', 'bare') AND c.relkind = 'r'
ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Vacuum makes plans see the tables as they are, and readers find the pages that all may see.
func Vacuum(ctx context.Context, on Handle) error {
	tables, err := Tables(ctx, on)
	if err != nil {
		return err
	}
	_, err = on.Exec(ctx, `VACUUM (ANALYZE) `+strings.Join(tables, ", "))
	return err
}

// HoldAutovacuum keeps autovacuum off the tables: it would replace plans that are to be seen at work, and take away dead rows that are to be
// counted.
func HoldAutovacuum(ctx context.Context, on Handle) error {
	tables, err := Tables(ctx, on)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := on.Exec(ctx, `ALTER TABLE `+table+` SET (autovacuum_enabled = false)`); err != nil {
			return err
		}
	}
	return nil
}
