package eventstream

import (
	"context"
	"errors"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/paging"
)

// leastHalves is how many events a page has at least that is read by halves: of fewer, one more query costs more than it saves.
const leastHalves = 256

// errBehind says that a connection goes to a server that does not have what is to be read yet.
var errBehind = errors.New("the server has less of the log")

// half is what came of the second half of a page.
type half struct {
	events []LogEvent
	end    paging.End
	err    error
}

// halfwayOf is the position at which a page is divided, or 0 if it is read by one query. Up to there, every position may be an event's: a half
// that ended before its last event would leave nothing for the other one to go on from.
func (p *logPages) halfwayOf(wanted pageWanted) int64 {
	if p.beside == nil || !p.dense || p.unreadable != nil || !p.size.Roomy() || wanted.size < leastHalves {
		return 0
	}
	if halfway := wanted.after + int64(wanted.size/2); halfway < wanted.until {
		return halfway
	}
	return 0
}

// readPage reads a page, numbered. A server's process makes the most of a page's time, so where another connection is to be had two of them
// read a half each.
func (p *logPages) readPage(ctx context.Context, r *Repository, h Handle, wanted pageWanted, buffer []LogEvent) ([]LogEvent, paging.End, error) {
	halfway := p.halfwayOf(wanted)
	if halfway == 0 {
		return r.logPage(ctx, h, wanted, &p.numbers, buffer)
	}
	if cap(buffer) < wanted.size {
		buffer = make([]LogEvent, wanted.size)
	}
	events, end, err := p.readHalves(ctx, r, h, wanted, halfway, buffer[:wanted.size])
	if err != nil {
		return nil, paging.EndOfRange, err
	}
	return events, end, p.numbers.number(ctx, r, h, events)
}

// readHalves reads both halves of a page at once, if it gets a second connection before the first half is read.
func (p *logPages) readHalves(
	ctx context.Context, r *Repository, h Handle, wanted pageWanted, halfway int64, buffer []LogEvent,
) ([]LogEvent, paging.End, error) {
	first, second, n := wanted, wanted, wanted.size/2
	first.until, first.bytes = halfway, wanted.bytes/2 // its size would not end it
	second.after, second.size, second.bytes = halfway, wanted.size-n, wanted.bytes/2
	front, back := buffer[:0:n], buffer[n:n]
	ctxBeside, cancel := context.WithCancel(ctx)
	defer cancel()
	lent, read := make(chan struct{}), make(chan half, 1)
	go func() { read <- p.readBeside(ctxBeside, r, second, func() { close(lent) }, back) }()

	events, end, err := r.logRows(ctx, h, first, &p.numbers, front)
	select {
	case <-lent:
	default:
		cancel() // others may need the connection that it waits for
	}
	rest := <-read
	if err != nil || end != paging.EndOfRange {
		clear(back[:cap(back)])
		return events, end, err
	}
	if rest.err != nil {
		rest.events, rest.end, rest.err = r.logRows(ctx, h, second, &p.numbers, back)
	}
	whole := len(events) + copy(buffer[len(events):], rest.events)
	clear(buffer[whole:])
	return buffer[:whole], rest.end, rest.err
}

// readBeside reads the second half of a page on another connection, and says when it has that.
func (p *logPages) readBeside(ctx context.Context, r *Repository, wanted pageWanted, lent func(), buffer []LogEvent) (rest half) {
	h, release, err := p.beside(ctx, lent)
	if err != nil {
		return half{err: err}
	}
	defer release()
	rest.err = isolation.OrReadCommitted(ctx, h, func(h db.DBTX) (err error) {
		rest.events, rest.end, err = r.logRows(ctx, h, wanted, &p.numbers, buffer)
		return err
	})
	return rest
}

// lend lends a connection of a pool that goes to the log that is read, as far as that is to be read.
func (p *logPages) lend(r *Repository) access.Beside {
	return func(ctx context.Context, lent func()) (db.DBTX, func(), error) {
		conn, err := r.pool.Acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		lent()
		h := r.bind(conn)
		if !p.same.Knows(conn.Conn()) {
			last, err := p.holds(ctx, r, h)
			if err == nil && last < p.until {
				err = errBehind
			}
			if err != nil {
				conn.Release()
				return nil, nil, err
			}
			p.same.Add(conn.Conn())
		}
		return h, conn.Release, nil
	}
}
