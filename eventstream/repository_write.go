package eventstream

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/groupcommit"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/lenttx"
)

// insufficientPrivilege is the SQLSTATE for what a role may not do.
const insufficientPrivilege = "42501"

// lockNotAvailable is what a statement fails with after its lock timeout.
const lockNotAvailable = "55P03"

// besideOthers is how many events must wait before a batch flies beside another one: below, they cost less together.
const besideOthers = 16

// mostBlocked is how many connections batches may take that wait for streams which other writers hold; or half of the pool, if less.
const mostBlocked = 3

// appendGroup is what the appends of a repository share.
type appendGroup = groupcommit.Group[string, *appendItem]

// newAppendGroup returns a group on a pool, whose batches are sent on what on gives; nil if each append goes by itself. Inline projections
// belong to the transaction of one append.
func (r *Repository) newAppendGroup(pool *pgxpool.Pool, on func([]*appendItem) Handle) *appendGroup {
	config := r.config.Group
	if config.Off || len(r.config.Inline) > 0 {
		return nil
	}
	return groupcommit.New(groupcommit.Config{
		InFlight: config.InFlight,
		Blocked:  min(max(int(pool.Config().MaxConns)/2, 1), mostBlocked),
		Max:      groupcommit.Size{Count: config.MaxEvents, Bytes: config.MaxBytes},
		Company:  besideOthers,
	}, func(ctx context.Context, items []*appendItem, wait time.Duration) (groupcommit.Verdict, error) {
		defer r.hook.call() // also for those whose callers have left
		items = inOrderOfStreams(items)
		return settleItems(items, wait, func() ([]db.AppendBatchRow, error) { return r.sendBatch(ctx, on(items), items, wait) })
	})
}

// write runs the requests of one call, all or none, and gives a row for each, in their order: in a group with those of others, unless h is
// not the repository's own handle.
func (r *Repository) write(ctx context.Context, h Handle, item *appendItem) ([]db.AppendBatchRow, error) {
	if r.group == nil || h != r.handle {
		rows, err := r.send(ctx, h, []*appendItem{item}, 0)
		return item.asCalled(rows), err
	}
	err := r.group.Do(ctx, item)
	var canceled *groupcommit.CanceledError
	if errors.As(err, &canceled) {
		return nil, &AppendCanceledError{StreamID: item.stream, Sent: canceled.Sent, Err: canceled.Err}
	}
	item.trace.settled()
	return item.asCalled(item.rows), err
}

// sendBatch is send for items of the group, and tells a tracer of it.
func (r *Repository) sendBatch(ctx context.Context, h Handle, items []*appendItem, wait time.Duration) ([]db.AppendBatchRow, error) {
	if r.trace == nil {
		return r.send(ctx, h, items, wait)
	}
	ctx, end := r.startBatch(ctx, items)
	rows, err := r.send(ctx, h, items, wait)
	end(err)
	return rows, err
}

// send sends items as one statement, and gives a row for each of their requests. A wait above 0 is how long it waits for each lock.
func (r *Repository) send(ctx context.Context, h Handle, items []*appendItem, wait time.Duration) ([]db.AppendBatchRow, error) {
	if items[0].bound {
		return r.sendForTenants(ctx, h, items, wait)
	}
	if wanting := wantNewer(items); wanting > 0 {
		return r.sendNewer(ctx, h, items, wait, wanting)
	}
	if len(items) == 1 && items[0].size.Count == 1 && wait == 0 {
		row, err := r.queries.AppendEvent(ctx, h, oneEvent(&items[0].requests[0]))
		return []db.AppendBatchRow{db.AppendBatchRow(row)}, err
	}
	if wait == 0 && areRivals(items) {
		if rows, err := r.sendRivals(ctx, h, items); err != nil || rows != nil {
			return rows, err
		}
	}
	p := layOut(items)
	if wait > 0 {
		p.LockTimeout = lockTimeout(wait)
	}
	return r.queries.AppendBatch(ctx, h, p)
}

// lockTimeout is a wait as the database takes it.
func lockTimeout(wait time.Duration) string { return strconv.FormatInt(wait.Milliseconds(), 10) + "ms" }

// settleItems sends items as one statement that waits so long for a lock, and gives each its rows.
func settleItems(
	items []*appendItem, wait time.Duration, send func() ([]db.AppendBatchRow, error),
) (groupcommit.Verdict, error) {
	began := time.Now()
	rows, err := send()
	if err == nil {
		for _, item := range items {
			n := len(item.requests)
			item.rows, rows = rows[:n:n], rows[n:]
		}
		return groupcommit.Settled, nil
	}
	var cause *pgconn.PgError
	switch {
	case !errors.As(err, &cause):
		return groupcommit.Failed, err
	case cause.Code == lockNotAvailable && wait > 0 && time.Since(began) >= wait-wait/8:
		// One that comes sooner, but for the difference of two clocks, is not the timeout's: it may be of a trigger that does not wait.
		return groupcommit.Blocked, err
	case concernsOne(cause):
		return groupcommit.Suspect, err
	}
	return groupcommit.Failed, err
}

// concernsOne says that an error of the database may come from one request, and leave the others whole once that is taken out. The
// statement failed, so nothing of it was applied.
func concernsOne(e *pgconn.PgError) bool {
	if e.Severity != "ERROR" && e.SeverityUnlocalized != "ERROR" {
		return false // the connection is gone: what became of the statement is not known
	}
	switch e.Code[:2] {
	case "08", "25", "3D", "3F", "53", "58": // connection, read-only, not installed, resources, the server's system
		return false
	case "42": // not installed, or an older schema; but rights may depend on the row
		return e.Code == insufficientPrivilege
	}
	return true
}

// InlineProjection is called in the transaction of every append of a repository (Config.Inline), with the events as they were
// stored: what it writes through tx is stored if and only if they are. An error rolls the append back and is returned by it. It
// makes every append as slow as itself; writers that do not go through the repository pass it by.
type InlineProjection func(ctx context.Context, tx pgx.Tx, events []Event) error

// beginner is what every Handle is but the interface does not say: a transaction begins a savepoint.
type beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// project appends in a transaction, if the repository has inline projections, and runs these before it commits. do returns which
// versions of which streams were appended.
func (r *Repository) project(ctx context.Context, h Handle, do func(Handle) ([]versionRange, error)) error {
	if len(r.config.Inline) == 0 {
		_, err := do(h)
		return err
	}
	b, ok := h.(beginner)
	if !ok {
		return invalidValue("handle", "without Begin", "a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx, for inline projections")
	}
	begin := func(f func(pgx.Tx) error) error { return pgx.BeginFunc(ctx, b, f) }
	if alone, ok := isolation.AloneOn(h); ok {
		// What waited for another writer must see what it wrote.
		begin = func(f func(pgx.Tx) error) error {
			return pgx.BeginTxFunc(ctx, alone, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, f)
		}
	}
	return begin(func(tx pgx.Tx) error {
		ranges, err := do(tx)
		if err != nil {
			return err
		}
		for _, v := range ranges {
			events, err := r.eventRange(ctx, tx, v.stream, v.first, int(v.last-v.first+1))
			if err != nil {
				return mapError(err)
			}
			for _, projection := range r.config.Inline {
				if err := projection(ctx, lenttx.Tx{Tx: unboundTx(tx), Refusal: ErrTxEnded}, events); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// projectOrReadCommitted is project, once more in READ COMMITTED if another writer was in the way of a snapshot of a higher isolation.
func (r *Repository) projectOrReadCommitted(ctx context.Context, h Handle, do func(Handle) ([]versionRange, error)) error {
	return isolation.OrReadCommitted(ctx, h, func(h db.DBTX) error { return r.project(ctx, h, do) })
}

// versionRange is what one append added to a stream.
type versionRange struct {
	stream      StreamID
	first, last int64
}

// added returns what results say was appended, duplicates left out.
func added(requests []AppendRequest, results []AppendResult) []versionRange {
	ranges := make([]versionRange, 0, len(results))
	for i, result := range results {
		if !result.Duplicate {
			ranges = append(ranges, versionRange{requests[i].StreamID, result.FirstVersion, result.LastVersion})
		}
	}
	return ranges
}
