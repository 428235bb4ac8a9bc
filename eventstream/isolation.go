package eventstream

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A database, a role or a session may have a default isolation of REPEATABLE READ or SERIALIZABLE. How far the log is stable can be found
// out in READ COMMITTED alone, and what waits for others must see what they wrote: so both are done in a transaction that says so.

// serializationFailure is the SQLSTATE for a transaction whose snapshot is too old.
const serializationFailure = "40001"

// aloneOn returns what begins a transaction, if the statements of a handle are transactions of their own: a pool's are, and those of a
// connection outside a transaction. A pgx.Tx begins savepoints.
func aloneOn(h Handle) (importHandle, bool) {
	begins, ok := h.(importHandle)
	return begins, ok && !inTransaction(h)
}

// readCommitted runs f in a READ COMMITTED transaction, whatever the default; in a transaction of the caller, in that.
func readCommitted(ctx context.Context, h Handle, f func(h Handle) error) error {
	begins, ok := aloneOn(h)
	if !ok {
		return f(h)
	}
	return pgx.BeginTxFunc(ctx, begins, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error { return f(tx) })
}

// orReadCommitted runs f on a handle, in its own isolation, which costs nothing; and once more, in READ COMMITTED, if what was in the way
// was a snapshot that only a higher one keeps.
func orReadCommitted(ctx context.Context, h Handle, f func(h Handle) error) error {
	err := f(h)
	if !hasSQLState(err, serializationFailure) {
		return err
	}
	if _, ok := aloneOn(h); !ok {
		return err
	}
	return readCommitted(ctx, h, f)
}

// hasSQLState says whether the database gave an error of this code.
func hasSQLState(err error, code string) bool {
	var cause *pgconn.PgError
	return errors.As(err, &cause) && cause.Code == code
}
