package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// beginRead opens a transaction that cannot write and in which no statement runs for longer than a time. Plans are made for the values at hand, since
// filters come and go; and from indexes, since a table that was never analyzed is taken for a small one.
func beginRead(timeout time.Duration) string {
	return fmt.Sprintf(`BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = 1000; SET LOCAL idle_in_transaction_session_timeout = 30000;
SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL TimeZone = 'UTC'; SET LOCAL jit = off;
SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off`, timeout.Milliseconds())
}

// keepPlans is for functions that are called for each partition or shard: what they ask is planned once, and not each time, which takes many times as
// long as asking. No filter is among their arguments.
const keepPlans = `SET LOCAL plan_cache_mode = auto`

// beginAudit is for what reads everything: as long as it takes, and as the planner likes.
const beginAudit = `BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
SET LOCAL statement_timeout = 0; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL TimeZone = 'UTC'`

// read does something in a transaction that cannot write.
func (s *Server) read(ctx context.Context, do func(tx pgx.Tx) error) error {
	return s.readAs(ctx, s.begin, do)
}

func (s *Server) readAs(ctx context.Context, begin string, do func(tx pgx.Tx) error) error {
	tx, err := s.Pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	return do(tx)
}

// list gives the rows of a query.
func list[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// one gives the only row of a query; pgx.ErrNoRows if there is none.
func one[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) (T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, err
	}
	return pgx.CollectOneRow(rows, pgx.RowToStructByName[T])
}

// panel is a part of a page, or why it is missing: the others are shown all the same.
type panel[T any] struct {
	Value   T
	Problem string
}

// fill reads a panel in a transaction of its own, since an error ends that.
func fill[T any](ctx context.Context, s *Server, read func(tx pgx.Tx) (T, error)) (p panel[T]) {
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		p.Value, err = read(tx)
		return err
	})
	if err != nil {
		p.Problem = s.problem(err)
	}
	return p
}

// undefined are SQLSTATEs of a schema, table, function or column that is not there.
var undefined = []string{"3F000", "42P01", "42883", "42703"}

// problem says what went wrong in words for a page, and notes it.
func (s *Server) problem(err error) string {
	var cause *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, context.Canceled):
		return "The page was left before it was done."
	case errors.As(err, &connect):
		fmt.Fprintln(s.Log, "gapless inspect:", err)
		return "The database does not answer."
	case !errors.As(err, &cause):
		fmt.Fprintln(s.Log, "gapless inspect:", err)
		return "This could not be read: " + err.Error()
	case cause.Code == "57014":
		return fmt.Sprintf("This took longer than %s and was stopped: the server is busy, or the store is larger than this part looks through. Narrow the filter, "+
			"or try again.", s.Timeout)
	case cause.Code == "42501":
		return cause.Message + ": connect as a role that may read all tables of schema eventstream."
	case slices.Contains(undefined, cause.Code):
		return "Schema eventstream is missing, or older than this program: gapless migrate up."
	}
	fmt.Fprintln(s.Log, "gapless inspect:", err)
	return "The database said: " + cause.Message
}
