package eventstream

import (
	"math"
	"strconv"
)

// mostParallel bounds LogOptions.Parallel.
const mostParallel = 32

// validateParallel checks LogOptions.Parallel: one connection, or a transaction, runs one query at a time.
func validateParallel(parallel int, pooled bool) error {
	switch {
	case parallel < 0 || parallel > mostParallel:
		return invalidValue("LogOptions.Parallel", strconv.Itoa(parallel), "from 0 to "+strconv.Itoa(mostParallel))
	case parallel > 0 && !pooled:
		return invalidValue("LogOptions.Parallel", strconv.Itoa(parallel), "0, or used with ReadLog of a repository on a *pgxpool.Pool")
	}
	return nil
}

// shares divides what there is to read by partition: pages for each of so many shares, or fewer if there are not that many partitions.
// All of them end where the whole does, and partitions start where they do in the whole. Nil for one share.
func (p *logPages) shares(count, partitions int) []*logPages {
	if count < 2 {
		return nil
	}
	filter, read := p.numbers.filter, p.partitions(partitions)
	shares := make([]*logPages, min(count, len(read)))
	for i := range shares {
		filter.Partitions = nil
		for at := i; at < len(read); at += len(shares) {
			filter.Partitions = append(filter.Partitions, read[at])
		}
		shares[i] = newLogPages(filter, p.numbers.backwards, p.after, p.until, p.size.most)
		shares[i].apart = p.apart
		shares[i].skipTo(partitions)
	}
	return shares
}

// logMerge puts shares of the log back into its one order.
type logMerge struct {
	shares    []*logShare
	backwards bool
	// heads are the positions of the shares' next events, negative if backwards: the least comes next.
	heads []int64
}

const (
	// headUnknown is the head of a share that has to be asked for it, and headNone of one that is through.
	headUnknown = 0
	headNone    = math.MaxInt64
)

// newLogMerge merges shares by a function that reads a page of one of them.
func newLogMerge(pages []*logPages, read func(p *logPages, left int, buffer []LogEvent) ([]LogEvent, error)) *logMerge {
	m := &logMerge{backwards: pages[0].numbers.backwards, heads: make([]int64, len(pages))}
	for _, p := range pages {
		m.shares = append(m.shares, &logShare{logAhead: logAhead{pages: p, read: read}})
	}
	return m
}

// each yields so many events at most, and an error, if there is one, last. When it returns, no share reads any more.
func (m *logMerge) each(left int, yield func(LogEvent, error) bool) {
	defer m.stop()
	for _, s := range m.shares {
		s.start(left)
	}
	for ; left > 0; left-- {
		e, err := m.next(left)
		if err != nil {
			yield(LogEvent{}, mapError(err))
			return
		}
		if e == nil || !yield(*e, nil) {
			return
		}
	}
}

// next gives the next event, which is good until next is called again; nil at the end. It waits for the share whose event was given last.
func (m *logMerge) next(left int) (*LogEvent, error) {
	first := 0
	for i := range m.heads {
		if m.heads[i] == headUnknown {
			if err := m.lookAt(i, left); err != nil {
				return nil, err
			}
		}
		if m.heads[i] < m.heads[first] {
			first = i
		}
	}
	if m.heads[first] == headNone {
		return nil, nil
	}
	m.heads[first] = headUnknown
	return m.shares[first].take(), nil
}

// lookAt finds out the head of a share.
func (m *logMerge) lookAt(share, left int) error {
	e, err := m.shares[share].peek(left)
	switch {
	case err != nil:
		return err
	case e == nil:
		m.heads[share] = headNone
	case m.backwards:
		m.heads[share] = -e.Position
	default:
		m.heads[share] = e.Position
	}
	return nil
}

// stop waits for what the shares still read: their connections go back to the pool.
func (m *logMerge) stop() {
	for _, s := range m.shares {
		s.stop()
	}
}
