package eventstream

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/internal/unset"
)

// errNoTx says that a caller's transaction is nil.
var errNoTx = invalidValue("tx", "nil", "a transaction that has begun; without WithTx, each call takes its own")

// handleOf is a caller's transaction, or what refuses everything if that is nil.
func handleOf(tx pgx.Tx) Handle {
	if unset.IsNil(tx) {
		return noHandle{}
	}
	return tx
}

// noHandle refuses everything.
type noHandle struct{}

func (noHandle) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, errNoTx
}
func (noHandle) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errNoTx }
func (noHandle) QueryRow(context.Context, string, ...any) pgx.Row        { return noRow{} }
func (noHandle) Begin(context.Context) (pgx.Tx, error)                   { return nil, errNoTx }

type noRow struct{}

func (noRow) Scan(...any) error { return errNoTx }
