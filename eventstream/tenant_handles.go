package eventstream

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// tenantPool is a pool for a tenant: each statement is a transaction of its own, with which its tenant ends.
type tenantPool struct {
	tenantScope
	pool *pgxpool.Pool
}

// Exec runs a statement for the tenant.
func (p tenantPool) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return p.exec(ctx, sql, args, false)
}

// Query runs a statement for the tenant and gives its rows.
func (p tenantPool) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.query(ctx, sql, args, false)
}

// QueryRow runs a statement for the tenant and gives its first row.
func (p tenantPool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return p.queryRow(ctx, sql, args, false)
}

// Begin begins a transaction for the tenant.
func (p tenantPool) Begin(ctx context.Context) (pgx.Tx, error) {
	return p.BeginTx(ctx, pgx.TxOptions{})
}

// BeginTx begins a transaction for the tenant.
func (p tenantPool) BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error) {
	return p.bindTx(p.pool.BeginTx(ctx, options))
}

// tenantConn is a connection for a tenant, whether the caller has begun a transaction on it or not.
type tenantConn struct{ tenantScope }

// Conn is the connection.
func (c tenantConn) Conn() *pgx.Conn {
	switch on := c.on.(type) {
	case *pgx.Conn:
		return on
	case interface{ Conn() *pgx.Conn }:
		return on.Conn()
	}
	return nil
}

func (c tenantConn) inTx() bool {
	conn := c.Conn()
	return conn == nil || conn.PgConn().TxStatus() != 'I'
}

// Exec runs a statement for the tenant.
func (c tenantConn) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return c.exec(ctx, sql, args, c.inTx())
}

// Query runs a statement for the tenant and gives its rows.
func (c tenantConn) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return c.query(ctx, sql, args, c.inTx())
}

// QueryRow runs a statement for the tenant and gives its first row.
func (c tenantConn) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return c.queryRow(ctx, sql, args, c.inTx())
}

// Begin begins a transaction for the tenant.
func (c tenantConn) Begin(ctx context.Context) (pgx.Tx, error) {
	return c.BeginTx(ctx, pgx.TxOptions{})
}

// BeginTx begins a transaction for the tenant.
func (c tenantConn) BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error) {
	begins, ok := c.on.(interface {
		BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
	})
	if !ok {
		return nil, invalidValue("handle", "without BeginTx", "a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx")
	}
	return c.bindTx(begins.BeginTx(ctx, options))
}

// bindTx makes a transaction one for the tenant.
func (s tenantScope) bindTx(tx pgx.Tx, err error) (pgx.Tx, error) {
	if err != nil {
		return nil, err
	}
	s.on = tx
	return tenantTx{tx, s}, nil
}

// tenantTx is a transaction for a tenant: of the statements that go through it, and of no others of the same transaction.
type tenantTx struct {
	pgx.Tx
	scope tenantScope
}

// Exec runs a statement for the tenant.
func (t tenantTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return t.scope.exec(ctx, sql, args, true)
}

// Query runs a statement for the tenant and gives its rows.
func (t tenantTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.scope.query(ctx, sql, args, true)
}

// QueryRow runs a statement for the tenant and gives its first row.
func (t tenantTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return t.scope.queryRow(ctx, sql, args, true)
}

// Begin begins a savepoint.
func (t tenantTx) Begin(ctx context.Context) (pgx.Tx, error) { return t.scope.bindTx(t.Tx.Begin(ctx)) }

// CopyFrom is refused: nothing goes past the tenant.
func (t tenantTx) CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error) {
	return 0, invalidValue("repository", "for tenant "+t.scope.tenant, "for all tenants, for COPY")
}

// unboundHandle is what a handle for a tenant stands on; any other as it is.
func unboundHandle(h Handle) Handle {
	switch h := h.(type) {
	case tenantPool:
		return h.pool
	case tenantConn:
		return h.on
	case tenantTx:
		return h.Tx
	}
	return h
}

// unboundTx is the caller's transaction, in which a projection's tables are written by the rights of the login.
func unboundTx(tx pgx.Tx) pgx.Tx {
	if bound, ok := tx.(tenantTx); ok {
		return bound.Tx
	}
	return tx
}
