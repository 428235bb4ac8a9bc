// Package readbudget bounds the bytes of events that all readers of one repository hold in memory.
package readbudget

import (
	"context"
	"sync"
)

const (
	// PageBytes is what a page does not exceed, but for an event that is larger by itself.
	PageBytes = 4 << 20
	// EventOverhead is what an event takes in memory besides its payload, data and metadata.
	EventOverhead = 288
	// pagesInShare is how many pages a reader's share of the budget holds: one that is gone through, one that waits and one that is read.
	pagesInShare = 3
	// largestShare is the part of the budget, one in so many, that a reader takes at most, however few there are.
	largestShare = 4
)

// Budget bounds the bytes of events that all readers of a repository hold: what is being read, what waits, and what loops and
// handlers are looking at. Readers never wait for each other, since a handler that hangs must not stop another: whoever holds nothing may
// read one event at least. Everybody has a fair share, and waits for what it holds itself to be done with before it takes more.
type Budget struct {
	most int64

	mu sync.Mutex
	// held is what is taken, and peak the most that ever was.
	held, peak int64
	// readers is how many hold something.
	readers int
}

// New returns a budget of so many bytes.
func New(most int64) *Budget { return &Budget{most: most} }

// Share is what one reader holds of the budget.
type Share struct {
	budget *Budget
	held   int64
	// freed has room for one: something was given back.
	freed chan struct{}
}

// Share returns the share of one more reader, who holds nothing yet.
func (b *Budget) Share() *Share {
	return &Share{budget: b, freed: make(chan struct{}, 1)}
}

// TryReserve takes a page's bytes, and says how many these are. A reader that holds nothing gets some, if only enough for one event;
// others only get what is free and within their share.
func (s *Share) TryReserve() (bytes int64, ok bool) {
	b := s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	readers := b.readers
	if s.held == 0 {
		readers++
	}
	share := b.most / max(int64(readers), largestShare)
	bytes, free := min(PageBytes, share/pagesInShare), b.most-b.held
	if s.held > 0 && (bytes > free || s.held+bytes > share) {
		return 0, false
	}
	bytes = max(min(bytes, free), 1)
	s.change(bytes)
	return bytes, true
}

// Reserve is TryReserve once what the reader itself holds is little enough.
func (s *Share) Reserve(ctx context.Context) (int64, error) {
	for {
		if bytes, ok := s.TryReserve(); ok {
			return bytes, nil
		}
		select {
		case <-s.freed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Keep replaces what was reserved by what was read.
func (s *Share) Keep(reserved, read int64) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	s.change(read - reserved)
}

// Release gives back what was read, once it is done with.
func (s *Share) Release(bytes int64) {
	s.budget.mu.Lock()
	s.change(-min(bytes, s.held))
	s.budget.mu.Unlock()
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// Close gives everything back.
func (s *Share) Close() {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	s.change(-s.held)
}

// change counts what a reader takes or gives. The caller holds mu.
func (s *Share) change(bytes int64) {
	before := s.held
	s.held += bytes
	s.budget.held += bytes
	s.budget.peak = max(s.budget.peak, s.budget.held)
	switch {
	case before == 0 && s.held > 0:
		s.budget.readers++
	case before > 0 && s.held == 0:
		s.budget.readers--
	}
}
