// Package lenttx lends a transaction to code of the user, which must not end it.
package lenttx

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// BeginQuery begins a transaction to lend. A borrower that hangs must not hold it for longer than idle; for limit, see LimitStatements.
func BeginQuery(idle, limit time.Duration) string {
	begin := fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = %d", idle.Milliseconds())
	if limit == 0 {
		return begin
	}
	return begin + "; " + LimitStatements(limit)
}

// LimitStatements sees to it that a statement of the borrower, whose context ends after limit, does not go on at the server for long after
// that: the request to cancel it may be lost, or come before it. A statement_timeout that is shorter stays.
func LimitStatements(limit time.Duration) string {
	return fmt.Sprintf("SELECT pg_catalog.set_config('statement_timeout', (1000 * extract(epoch FROM least(interval '%d ms', "+
		"nullif(pg_catalog.current_setting('statement_timeout'), '0')::interval)))::bigint::text, true)",
		min((limit+margin).Milliseconds(), math.MaxInt32))
}

// margin lets the borrower's context end first, which says what happened.
const margin = time.Second

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
