package eventstream

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/google/uuid"
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
// is visible to others once that commits. A refused append leaves the transaction usable, but for *EventIDConflictError and
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

// Store is what code that only writes and reads events needs of a Repository, so that its tests can run without a database: package
// eventstreamtest has a store in memory, and tests that hold both to what is said here of Repository's methods. What such code uses less of, it
// had better declare itself; what it uses more of, a Repository alone can do.
type Store interface {
	// Append is Repository.Append.
	Append(ctx context.Context, id StreamID, expected Expected, events ...Event) (AppendResult, error)
	// AppendMany is Repository.AppendMany.
	AppendMany(ctx context.Context, requests ...AppendRequest) ([]AppendResult, error)
	// CloseStream is Repository.CloseStream.
	CloseStream(ctx context.Context, id StreamID, expected Expected, reason string) (int64, error)
	// Load is Repository.Load.
	Load(ctx context.Context, id StreamID) (*EventStream, error)
	// GetOrCreate is Repository.GetOrCreate.
	GetOrCreate(ctx context.Context, id StreamID) (*EventStream, error)
	// Save is Repository.Save.
	Save(ctx context.Context, stream *EventStream) (AppendResult, error)
	// Read is Repository.Read.
	Read(ctx context.Context, id StreamID, opts ReadOptions) iter.Seq2[Event, error]
	// ReadLog is Repository.ReadLog.
	ReadLog(ctx context.Context, opts LogOptions) iter.Seq2[LogEvent, error]
	// Event is Repository.Event.
	Event(ctx context.Context, eventID uuid.UUID) (Event, error)
	// Stream is Repository.Stream.
	Stream(ctx context.Context, id StreamID) (StreamHead, error)
	// Streams is Repository.Streams.
	Streams(ctx context.Context, filter StreamFilter) iter.Seq2[StreamHead, error]
}

var _ Store = (*Repository)(nil)
