package eventstream

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/groupcommit"
)

// lockNotAvailable is what a statement fails with after its lock timeout.
const lockNotAvailable = "55P03"

// besideOthers is how many events must wait before a batch flies beside another one: below, they cost less together.
const besideOthers = 16

// mostBlocked is how many connections batches may take that wait for streams which other writers hold; or half of the pool, if less.
const mostBlocked = 3

// appendGroup is what the appends of a repository share.
type appendGroup = groupcommit.Group[string, *appendItem]

// newAppendGroup returns a group on a pool, whose batches are sent on what on gives; nil if each append goes by itself. Inline projections belong to the transaction of one append.
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

// sendBatch is send for items of the group, and tells of it who wants to know.
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
