// Package keptrows lets a generated query run without collecting its rows.
package keptrows

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// Keeper is a handle that keeps the rows of a query to itself and gives none to the generated function that asked for them: that would
// collect them in a slice that grows, and what reading costs is mostly memory. The query and its arguments stay the generated ones.
type Keeper struct {
	db.DBTX
	// Rows are those of the query; whoever made the keeper closes them.
	Rows pgx.Rows
}

// Query runs a query, keeps its rows, and returns none.
func (k *Keeper) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := k.DBTX.Query(ctx, sql, args...)
	k.Rows = rows
	return noRows{}, err
}

// noRows is a result without rows.
type noRows struct{ pgx.Rows }

// Next says that there is no row.
func (noRows) Next() bool { return false }

// Err says that nothing went wrong.
func (noRows) Err() error { return nil }

// Close does nothing.
func (noRows) Close() {}
