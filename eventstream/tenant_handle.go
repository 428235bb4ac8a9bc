package eventstream

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
)

// batcher is a handle that sends several statements at once, as pools, connections and transactions do.
type batcher interface {
	Handle
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// statement is a generated query with its arguments.
type statement struct {
	sql  string
	args []any
}

// Exec keeps the statement that a generated function would run, and runs nothing.
func (s *statement) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	s.sql, s.args = sql, args
	return pgconn.CommandTag{}, nil
}

func (s *statement) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errNoTx }
func (s *statement) QueryRow(context.Context, string, ...any) pgx.Row        { return noRow{errNoTx} }

// tenantScope says before a statement for which tenant it is, and takes that back after it, where the transaction goes on: all in one
// message to the server, of which each statement on its own is the same transaction as those around it.
type tenantScope struct {
	on     batcher
	tenant string
	// set is for a transaction that ends with the statement.
	set *statement
}

// tenantHandle is a handle on which each statement is for a tenant; or, for "", for none, where statements name those that they write for.
func tenantHandle(h Handle, tenant string) Handle {
	on, ok := h.(batcher)
	if !ok {
		if refuses, ok := h.(noHandle); ok {
			return refuses
		}
		return noHandle{invalidValue("handle", "without SendBatch", "a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx, for ForTenant")}
	}
	scope := tenantScope{on: on, tenant: tenant, set: new(statement)}
	_ = db.New().TenantSet(context.Background(), scope.set, tenant) // it is kept, and cannot fail
	switch h := h.(type) {
	case pgx.Tx:
		return tenantTx{h, scope}
	case *pgxpool.Pool:
		return tenantPool{scope, h}
	}
	return tenantConn{scope}
}

// forTenant makes statements for a tenant others than the same ones for all. Each then has a plan of its own on a connection: PostgreSQL
// makes a plan anew whenever another role runs it, and keeps one alone.
const forTenant = "\n-- for a tenant"

// send sends a statement between the two others, and gives its results, behind those of the first.
func (s tenantScope) send(ctx context.Context, sql string, args []any, inTx bool) (pgx.BatchResults, error) {
	b := &pgx.Batch{}
	sql += forTenant
	if inTx {
		var enter, leave statement
		_ = db.New().TenantEnter(ctx, &enter, s.tenant)
		_ = db.New().TenantLeave(ctx, &leave)
		b.Queue(enter.sql, enter.args...)
		b.Queue(sql, args...)
		b.Queue(leave.sql)
	} else {
		b.Queue(s.set.sql, s.set.args...)
		b.Queue(sql, args...)
	}
	results := s.on.SendBatch(ctx, b)
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // the error is the one before
		return nil, err
	}
	return results, nil
}

func (s tenantScope) exec(ctx context.Context, sql string, args []any, inTx bool) (pgconn.CommandTag, error) {
	results, err := s.send(ctx, sql, args, inTx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := results.Exec()
	if closed := results.Close(); err == nil {
		err = closed // what comes at the end of the transaction
	}
	return tag, err
}

func (s tenantScope) query(ctx context.Context, sql string, args []any, inTx bool) (pgx.Rows, error) {
	results, err := s.send(ctx, sql, args, inTx)
	if err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		_ = results.Close()
		return nil, err
	}
	return &tenantRows{Rows: rows, results: results}, nil
}

func (s tenantScope) queryRow(ctx context.Context, sql string, args []any, inTx bool) pgx.Row {
	rows, err := s.query(ctx, sql, args, inTx)
	if err != nil {
		return noRow{err}
	}
	return tenantRow{rows}
}

// tenantRows are rows of a statement among others. Their end is the end of all: what fails there, as the commit may, is their error.
type tenantRows struct {
	pgx.Rows
	results pgx.BatchResults
	closed  bool
	err     error
}

// Next is that of the rows; after the last one, the others are waited for.
func (r *tenantRows) Next() bool {
	if r.closed {
		return false
	}
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Close ends the rows, and waits for the statements around them.
func (r *tenantRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.Rows.Close()
	r.err = r.results.Close()
}

// Err is the first error of the statements.
func (r *tenantRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}

// tenantRow is the first of some rows.
type tenantRow struct{ rows pgx.Rows }

// Scan reads the row, and waits for the end of the statements.
func (r tenantRow) Scan(dest ...any) error {
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
