package eventstream

import (
	"context"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/logend"
)

// read remembers the last event that was read.
func (p *logPages) read(events []LogEvent) {
	if n := len(events); n > 0 {
		p.position, p.id = events[n-1].Position, events[n-1].ID
	}
}

// on gives what the next page is read on: of a pool, a connection that goes to the same log, up to where it has it.
func (p *logPages) on(ctx context.Context, r *Repository, h Handle) (Handle, func(), error) {
	if !r.onPool(h) {
		return h, func() {}, nil
	}
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !p.same.Knows(conn.Conn()) {
		if err := p.compare(ctx, r, r.bind(conn)); err != nil {
			conn.Release()
			return nil, nil, err
		}
		p.same.Add(conn.Conn())
	}
	if p.atEnd() {
		conn.Release()
		return nil, nil, nil
	}
	return r.bind(conn), conn.Release, nil
}

// compare asks a connection that the reader has not read on whether its log has what was read, and how far it can be read there.
func (p *logPages) compare(ctx context.Context, r *Repository, h Handle) error {
	look, err := logend.Look(ctx, h)
	if err != nil {
		return err
	}
	gone := &BeyondLogError{Field: fieldEvent, Value: p.position, Last: look.StablePosition}
	if p.position > 0 {
		holds, err := r.queries.LogHoldsEvent(ctx, h, db.LogHoldsEventParams{Position: p.position, EventID: p.id})
		if err != nil {
			return err
		}
		if !holds {
			return gone
		}
	}
	if look.StablePosition >= p.until {
		return nil
	}
	if p.numbers.backwards {
		return gone // what was to be read next is not there
	}
	p.until = look.StablePosition
	return nil
}
