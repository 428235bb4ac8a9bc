// Package paging decides how much of a log or of a stream is read at once: how many events, of how many bytes, and from how many positions.
package paging

const (
	// FirstPage is how many events the first page of a log asks for; full pages double it.
	FirstPage = 64
	// largePages is how many pages after a large event the server weighs the events of each page.
	largePages = 16
	// firstWindow and widestWindow bound how many positions one query goes through: all of them, if no index serves its filter, or if the
	// planner, which does not know a table that was never analyzed, prefers sorting them to following the index.
	firstWindow, widestWindow = 4096, 1 << 20
)

// End is why a page ended.
type End int

const (
	// EndOfRange says that there is no further event in the range that was asked for.
	EndOfRange End = iota
	// EndOfCount says that it has as many events as were asked for.
	EndOfCount
	// EndOfBytes says that the next event would have been too much.
	EndOfBytes
	// EndAtLarge says that the server left out what the next event says, since it would have been too much.
	EndAtLarge
)

// Size adapts how much is read at once: full pages ask for larger ones and a narrower window, pages that bytes ended for smaller ones,
// pages that the window ended for a wider one.
type Size struct {
	// most bounds size.
	most int
	// size is how many events to ask for, and window in how many positions.
	size   int
	window int64
	// large is how many more pages are read as those of large events are.
	large int
	// filled says that the last page was about as large as its bytes may be.
	filled bool
}

// NewSize is the size of a first page of so many events, and of further ones of no more than most.
func NewSize(first, most int) Size {
	return Size{most: most, size: min(first, most), window: firstWindow}
}

// Next returns how many events to ask for, at most limit.
func (s *Size) Next(limit int) int { return min(s.size, limit) }

// Window is in how many positions to look for them.
func (s *Size) Window() int64 { return s.window }

// Weighed says that the page is to be read as those of large events are: where the server weighs each, which costs it something.
func (s *Size) Weighed() bool { return s.large > 0 }

// Grown says that pages are as large as they get, by count or by bytes.
func (s *Size) Grown() bool { return s.size >= s.most || s.filled }

// Roomy says that pages are as large as they get by count, and by bytes no larger than half of what they may be.
func (s *Size) Roomy() bool { return s.size >= s.most && !s.filled && s.large == 0 }

// Adapt takes in how the last page was: how many events it had, why it ended, whether the window did not reach the end of what is
// to be read, and its bytes beside those that it could have had.
func (s *Size) Adapt(count int, end End, windowed bool, bytes, limit int64) {
	s.large = max(s.large-1, 0)
	s.filled = end == EndOfBytes || end == EndAtLarge || bytes > limit/2
	switch {
	case end == EndAtLarge:
		s.large = largePages
		if count > 0 {
			// Some more than came, so that they fill the page if they are smaller: the server does not read those that do not fit.
			s.size = min(count+count/8+1, s.most)
		}
	case end == EndOfBytes:
		s.size = count
	case end == EndOfCount && !s.filled:
		s.size = min(2*s.size, s.most)
	}
	switch {
	case end != EndOfRange:
		s.window /= 2
	case windowed:
		s.window = min(4*s.window, widestWindow)
	}
	// A log with few holes fills its pages.
	s.window = max(s.window, firstWindow, 2*int64(s.size))
}
