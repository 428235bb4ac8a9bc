// Package isolation runs statements in the isolation that they need, whatever the default of a database, a role or a session.
//
// That may be REPEATABLE READ or SERIALIZABLE. How far the log is stable can be found out in READ COMMITTED alone, and what waits for others
// must see what they wrote: so both are done in a transaction that says so.
package isolation

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/pgerr"
)

// Beginner is what begins a transaction of its own: a transaction does not, it begins savepoints.
type Beginner interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// AloneOn returns what begins a transaction, if the statements of a handle are transactions of their own: a pool's are, and those of a
// connection outside a transaction. A pgx.Tx begins savepoints.
func AloneOn(h db.DBTX) (Beginner, bool) {
	begins, ok := h.(Beginner)
	return begins, ok && !inTransaction(h)
}

// inTransaction sees the BEGIN of a caller on a connection; pgx would begin once more, and commit what is the caller's.
func inTransaction(h db.DBTX) bool {
	conn, ok := h.(*pgx.Conn)
	if lent, isLent := h.(interface{ Conn() *pgx.Conn }); isLent {
		conn, ok = lent.Conn(), true
	}
	return ok && conn.PgConn().TxStatus() != 'I'
}

// ReadCommitted runs f in a READ COMMITTED transaction, whatever the default; in a transaction of the caller, in that.
func ReadCommitted(ctx context.Context, h db.DBTX, f func(h db.DBTX) error) error {
	begins, ok := AloneOn(h)
	if !ok {
		return f(h)
	}
	return pgx.BeginTxFunc(ctx, begins, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error { return f(tx) })
}

// OrReadCommitted runs f on a handle, in its own isolation, which costs nothing; and once more, in READ COMMITTED, if what was in the way
// was a snapshot that only a higher one keeps.
func OrReadCommitted(ctx context.Context, h db.DBTX, f func(h db.DBTX) error) error {
	err := f(h)
	if !pgerr.HasState(err, pgerr.SerializationFailure) {
		return err
	}
	if _, ok := AloneOn(h); !ok {
		return err
	}
	return ReadCommitted(ctx, h, f)
}
