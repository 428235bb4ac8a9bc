package eventstream

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// maxSame bounds how many connections a reader remembers.
const maxSame = 64

// sameLog tells a reader on a pool which connections go to the log that it reads. After a failover others do: there, what the reader knows
// of the end of the log, and the positions that it has passed, mean nothing.
type sameLog struct {
	conns []*pgx.Conn
	// position and id are of the last event that was read; 0 before the first.
	position int64
	id       uuid.UUID
}

func (s *sameLog) add(conn *pgx.Conn) {
	if len(s.conns) == maxSame {
		s.conns = s.conns[:0]
	}
	s.conns = append(s.conns, conn)
}

func (s *sameLog) knows(conn *pgx.Conn) bool {
	return slices.Contains(s.conns, conn)
}

func (s *sameLog) read(events []LogEvent) {
	if n := len(events); n > 0 {
		s.position, s.id = events[n-1].Position, events[n-1].ID
	}
}

// on gives what the next page is read on: of a pool, a connection that goes to the same log, up to where it has it.
func (p *logPages) on(ctx context.Context, r *Repository, h Handle) (Handle, func(), error) {
	if !r.onPool(h) {
		return h, func() {}, nil
	}
	conn, err := r.hub.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !p.same.knows(conn.Conn()) {
		if err := p.compare(ctx, r, conn); err != nil {
			conn.Release()
			return nil, nil, err
		}
		p.same.add(conn.Conn())
	}
	if p.atEnd() {
		conn.Release()
		return nil, nil, nil
	}
	return conn, conn.Release, nil
}

// compare asks a connection that the reader has not read on whether its log has what was read, and how far it can be read there.
func (p *logPages) compare(ctx context.Context, r *Repository, h Handle) error {
	look, err := r.lookAtLog(ctx, h)
	if err != nil {
		return err
	}
	gone := &BeyondLogError{Field: fieldEvent, Value: p.same.position, Last: look.StablePosition}
	if p.same.position > 0 {
		holds, err := r.queries.LogHoldsEvent(ctx, h, db.LogHoldsEventParams{Position: p.same.position, EventID: p.same.id})
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
