package eventstream

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/readbudget"
	"github.com/gaplesspg/gapless/internal/unset"
)

// Repository reads and writes event streams in PostgreSQL. It is safe for use by several goroutines as far as its handle is: a pool is, a
// connection and a transaction are not. On a pool, its appends share commits (Config.Group) and its subscriptions share connections: make
// one for a process.
//
// WithTx gives the same repository in a transaction of the caller. Errors of the database come back as the errors of this package where there
// is one for them; the *pgconn.PgError stays reachable through errors.As.
type Repository struct {
	handle  Handle
	queries *db.Queries
	config  Config
	// partitions is the store's partition count once it is known, else 0. It never changes.
	partitions *atomic.Int32
	// budget bounds what readers and subscriptions hold.
	budget *readbudget.Budget
	// pool is the pool that the repository was made on; nil if on none.
	pool *pgxpool.Pool
	// hook is called after every append.
	hook *appendHook
	// group is what concurrent Appends share; nil if each goes by itself.
	group *appendGroup
	// trace is told what is done; nil without a Tracer.
	trace *tracers
	// tenant is whom the repository is for; "" for all. tenantGroup is what the Appends of those for a tenant share.
	tenant      TenantID
	tenantGroup *appendGroup
}

// Handle is what a Repository runs its queries on: a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx. The caller opens and closes it.
type Handle interface {
	// Exec runs a statement that gives no rows.
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	// Query runs a statement and gives its rows.
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	// QueryRow runs a statement and gives its first row.
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// NewRepository returns a repository on a pool, a connection or a transaction. A nil config means the defaults. It returns an
// *InvalidValueError for a nil handle or a config out of bounds, and does not talk to the database.
func NewRepository(handle Handle, config *Config) (*Repository, error) {
	if unset.IsNil(handle) {
		return nil, invalidValue("handle", "nil", "a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx")
	}
	complete, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	repo := &Repository{
		handle: handle, queries: db.New(), config: complete,
		partitions: new(atomic.Int32), budget: readbudget.New(complete.MaxReadBytes), hook: new(appendHook),
		trace: tracersOf(complete.Tracer),
	}
	if pool, ok := handle.(*pgxpool.Pool); ok {
		repo.pool = pool
		repo.group = repo.newAppendGroup(pool, func([]*appendItem) Handle { return pool })
		repo.tenantGroup = repo.newAppendGroup(pool, func(items []*appendItem) Handle { return tenantsOn(pool, items) })
	}
	return repo, nil
}

// WithTx returns the same repository in a transaction of the caller: what it reads and writes is part of that transaction, and what it writes
// is there for others once that commits. A refused append leaves the transaction usable, but for *EventIDConflictError and
// *InvalidValueError, which the database raises as errors; other writers of a stream that was appended to wait until the transaction ends. A
// nil tx is an *InvalidValueError of each call.
func (r *Repository) WithTx(tx pgx.Tx) *Repository {
	inTx := *r
	inTx.handle, inTx.group = r.bind(handleOf(tx)), nil
	return &inTx
}

// partitionCount returns the store's partition count, which it asks for once.
func (r *Repository) partitionCount(ctx context.Context, h Handle) (int, error) {
	if count := r.partitions.Load(); count > 0 {
		return int(count), nil
	}
	count, err := r.queries.StorePartitionCount(ctx, h)
	if err != nil {
		return 0, mapError(err)
	}
	r.partitions.Store(count)
	return int(count), nil
}
