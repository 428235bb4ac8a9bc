package eventstream

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/gaplesspg/gapless/internal/readahead"
)

// ErrCursorClosed says that a LogCursor was closed before.
var ErrCursorClosed = errors.New("log cursor is closed: open another one, from After the last event")

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

// pagesOn are pages that are read on a handle.
type pagesOn struct {
	*logPages
	repo   *Repository
	handle Handle
}

func (p pagesOn) AtEnd() bool { return p.atEnd() }

func (p pagesOn) Grown() bool { return p.size.Grown() }

func (p pagesOn) Next(ctx context.Context, limit int, bytes int64, buffer []LogEvent) ([]LogEvent, int64, error) {
	events, err := p.next(ctx, p.repo, p.handle, limit, bytes, buffer)
	return events, bytesOf(events), err
}
