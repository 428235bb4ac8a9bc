package eventstream

import (
	"context"
	"iter"
	"math"
	"strconv"

	"github.com/gaplesspg/gapless/internal/readahead"
)

// pagesPerRead is how many times Config.PageSize a page of the log may grow to.
const pagesPerRead = 8

// LogOptions selects a part of the log. The zero value is all of it, upwards.
type LogOptions struct {
	// From is where reading starts, the event there included. Default: nil, which is FromBeginning, or FromLatest if Backwards:
	// with the last event there is.
	From Start
	// Filter selects events. Default: everything.
	Filter LogFilter
	// Limit ends the reading after so many events. Default: 0, which is no limit.
	Limit int
	// Backwards reads downwards, from newer to older. Default: false.
	Backwards bool
}

// LogHead is how far the log can be read.
type LogHead struct {
	// Position is the stable position: no event at or below it can still appear.
	Position int64
	// Sequence is the number of the last event up to there: how many there are. 0 in a repository for a tenant.
	Sequence int64
}

// ReadLog goes through the events of all streams in the one order of the log, up to the stable position of the moment it begins,
// numbered. It reads in pages whose size adapts, up to 8 times Config.PageSize and 4 MiB, within Config.MaxReadBytes: memory stays bounded,
// whatever the sizes of events, no transaction is held, and the loop's body may use the same connection. On a pool, the next page is read
// meanwhile, a large one by two connections, a half each, if it has one to spare; leaving the loop cancels that. On a standby it goes as far
// as the replicated stable position, and in a transaction (WithTx) with one snapshot for all of its statements as far as the one that was
// kept by then.
//
// An error comes once, as the last pair: an *InvalidValueError for bad options, a *BeyondLogError for a start that the log has
// not reached. Only an *UnreadableEventError is not the last: it comes in the place of its event, and a loop that goes on gets those after it,
// except in a transaction, which the server's error ends. A filter that selects little needs an index to be fast: docs/subscriptions.md lists them.
func (r *Repository) ReadLog(ctx context.Context, opts LogOptions) iter.Seq2[LogEvent, error] {
	return func(yield func(LogEvent, error) bool) {
		cursor, err := r.OpenLog(ctx, opts)
		if err != nil {
			yield(LogEvent{}, err)
			return
		}
		defer cursor.Close()
		cursor.readsAhead = r.onPool(r.handle)
		for atEnd := false; !atEnd; {
			var events []LogEvent
			events, atEnd, err = cursor.Next(ctx, 0)
			if unreadable := asUnreadable(err); unreadable != nil {
				if !yield(LogEvent{Event: unreadable.Event}, unreadable) {
					return
				}
				continue
			}
			if err != nil {
				yield(LogEvent{}, err)
				return
			}
			for i := range events {
				if !yield(events[i], nil) {
					return
				}
			}
		}
	}
}

// LogHead says how far the log can be read, and how many events that is.
func (r *Repository) LogHead(ctx context.Context) (LogHead, error) {
	position, err := r.logEnd(ctx, r.handle, true)
	if err != nil || r.tenant != "" {
		return LogHead{Position: position}, mapError(err)
	}
	sequence, err := r.queries.LogSequenceAt(ctx, r.handle, position)
	return LogHead{Position: position, Sequence: sequence}, mapError(err)
}

// openLogOn is openLog, on a pool by one of its connections, which the pages remember.
func (r *Repository) openLogOn(ctx context.Context, h Handle, opts LogOptions) (*logPages, error) {
	if !r.onPool(h) {
		return r.openLog(ctx, h, opts)
	}
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	pages, err := r.openLog(ctx, r.bind(conn), opts)
	if err == nil {
		pages.same.Add(conn.Conn())
	}
	return pages, err
}

// openLog checks options, and finds the range of positions to read.
func (r *Repository) openLog(ctx context.Context, h Handle, opts LogOptions) (*logPages, error) {
	partitions, err := r.partitionCount(ctx, h)
	if err != nil {
		return nil, err
	}
	filter, err := r.logFilter(opts.Filter, partitions)
	if err != nil {
		return nil, err
	}
	if opts.Limit < 0 {
		return nil, invalidValue("LogOptions.Limit", strconv.Itoa(opts.Limit), "0 or more")
	}
	// Who begins with the first event meets what has no marks in order, and counts it on the way.
	begins := !opts.Backwards && (opts.From == nil || opts.From == FromBeginning)
	stable, err := r.logEnd(ctx, h, !begins)
	if err != nil {
		return nil, mapError(err)
	}
	p := newLogPages(filter, opts.Backwards, 0, stable, pagesPerRead*r.config.PageSize)
	p.numbers.off = r.tenant != ""
	if opts.From == nil {
		return p, nil
	}
	if err := errorsFirst(opts.From.validate(partitions), r.checkStart(opts.From)); err != nil {
		return nil, err
	}
	at, err := r.resolveStart(ctx, h, opts.From, stable)
	if err != nil {
		return nil, err
	}
	if opts.Backwards {
		p.until, err = r.lastPosition(ctx, h, opts.From, at, stable)
		return p, err
	}
	p.after, p.apart = at.position-1, at.apart
	p.skipTo(partitions)
	return p, nil
}

// onPool says that a handle is the repository's pool, where further connections are to be had.
func (r *Repository) onPool(h Handle) bool {
	return r.pool != nil && unboundHandle(h) == Handle(r.pool)
}

// LogCursor goes through a part of the log for code that pages by hand, as a service that answers with pages does. ReadLog is a loop over one. It is
// not safe for use by several goroutines. Between two calls it holds no connection and no transaction.
type LogCursor struct {
	repo *Repository
	// pages are nil once the cursor is closed.
	pages *readahead.Reader[LogEvent]
	// readsAhead says that the next page is read while this one is handed out: on a pool, where another connection is to be had.
	readsAhead bool
	// page is what was read and not handed out yet, and left how many events may be handed out after it.
	page []LogEvent
	left int
}

// OpenLog finds the part of the log that options select, up to the stable position of this moment, for LogCursor.Next to read. It returns an
// *InvalidValueError for bad options and a *BeyondLogError for a start that the log has not reached. The caller closes the cursor.
func (r *Repository) OpenLog(ctx context.Context, opts LogOptions) (*LogCursor, error) {
	pages, err := r.openLogOn(ctx, r.handle, opts)
	if err != nil {
		return nil, err
	}
	if r.onPool(r.handle) && !opts.Backwards {
		pages.beside = pages.lend(r)
	}
	cursor := &LogCursor{repo: r, pages: readahead.New(pagesOn{pages, r, r.handle}, r.budget.Share()), left: opts.Limit}
	if cursor.left == 0 {
		cursor.left = math.MaxInt
	}
	return cursor, nil
}

// Next gives the next events, from 1 to limit of them, and says whether that is the end: then, and only then, there may be none. With a limit
// of 0 it gives what it reads at once, which is as much as Config.PageSize, Config.MaxReadBytes and the sizes of the events allow. The slice
// is lent until the next call: keep copies of events, not the slice.
//
// After an error the same call may be made again: no event is left out or comes twice. An *UnreadableEventError comes in the place of
// its event, and the next call goes on behind that. After Close it is ErrCursorClosed. To follow the log, open another cursor from After the last event.
func (c *LogCursor) Next(ctx context.Context, limit int) (events []LogEvent, atEnd bool, err error) {
	if c.pages == nil {
		return nil, true, ErrCursorClosed
	}
	if limit < 0 {
		return nil, false, invalidValue("limit", strconv.Itoa(limit), "1 or more, or 0 for a page")
	}
	for len(c.page) == 0 {
		if c.atEnd() {
			return nil, true, nil
		}
		if err := c.read(ctx); err != nil {
			return nil, false, err
		}
	}
	n := len(c.page)
	if limit > 0 {
		n = min(n, limit)
	}
	events, c.page = c.page[:n:n], c.page[n:]
	return events, c.atEnd(), nil
}

func (c *LogCursor) atEnd() bool { return len(c.page) == 0 && (c.left <= 0 || c.pages.AtEnd()) }

// read reads the next page.
func (c *LogCursor) read(ctx context.Context) error {
	reading, trace := c.repo.startRead(ctx, OperationReadLog, "")
	events, err := c.pages.Next(reading, c.left)
	trace.end(len(events), err)
	if unreadable := asUnreadable(err); unreadable != nil {
		c.left--
		return unreadable
	}
	if err != nil {
		return mapError(err)
	}
	c.page = events
	c.left -= len(events)
	if c.readsAhead {
		c.pages.Start(ctx, c.left)
	}
	return nil
}

// Close gives back the memory that the cursor holds. A second time changes nothing.
func (c *LogCursor) Close() {
	if c.pages != nil {
		c.pages.Close()
		c.pages, c.page = nil, nil
	}
}
