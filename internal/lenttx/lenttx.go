// Package lenttx lends a transaction to code of the user, which must not end it.
package lenttx

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Tx is a transaction that its borrower may not end.
type Tx struct {
	pgx.Tx
	// Refusal is the error of who tries to end it.
	Refusal error
}

// Commit is refused: returning nil commits.
func (tx Tx) Commit(context.Context) error { return tx.Refusal }

// Rollback is refused: returning an error rolls back.
func (tx Tx) Rollback(context.Context) error { return tx.Refusal }
