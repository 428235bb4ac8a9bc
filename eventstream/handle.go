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
		return noHandle{errNoTx}
	}
	return tx
}

// noHandle refuses everything.
type noHandle struct{ err error }

func (h noHandle) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, h.err
}
func (h noHandle) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, h.err }
func (h noHandle) QueryRow(context.Context, string, ...any) pgx.Row        { return noRow(h) }
func (h noHandle) Begin(context.Context) (pgx.Tx, error)                   { return nil, h.err }

type noRow struct{ err error }

func (r noRow) Scan(...any) error { return r.err }
