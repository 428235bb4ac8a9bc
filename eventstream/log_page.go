package eventstream

import (
	"context"
	"slices"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/apart"
)

const (
	// firstPage is the size of the first page; full pages double it.
	firstPage = 64
	// pagesPerRead is how many times Config.PageSize a page of the log may grow to.
	pagesPerRead = 8
	// largePages is how many pages after a large event the server weighs the events of each page.
	largePages = 16
	// fewPartitions is the share of all partitions, one in so many, up to which each is read by itself, and not by leaving out the rest.
	fewPartitions = 16
	// firstWindow and widestWindow bound how many positions one query goes through: all of them, if no index serves its filter, or if the
	// planner, which does not know a table that was never analyzed, prefers sorting them to following the index.
	firstWindow, widestWindow = 4096, 1 << 20
)

// pageSize adapts how much is read at once: full pages ask for larger ones and a narrower window, pages that bytes ended for smaller ones,
// pages that the window ended for a wider one.
type pageSize struct {
	// most bounds size.
	most int
	// size is how many events to ask for, and window in how many positions.
	size   int
	window int64
	// large is how many more pages are read as those of large events are: where the server weighs each, which costs it something.
	large int
	// filled says that the last page was about as large as its bytes may be.
	filled bool
}

// next returns how many events to ask for, at most limit.
func (s *pageSize) next(limit int) int {
	if s.size == 0 {
		s.size, s.window = min(firstPage, s.most), firstWindow
	}
	return min(s.size, limit)
}

// adapt takes in how the last page was: how many events it had, why it ended, whether the window did not reach the end of what is
// to be read, and its bytes beside those that it could have had.
func (s *pageSize) adapt(count int, end pageEnd, windowed bool, bytes, limit int64) {
	s.large = max(s.large-1, 0)
	s.filled = end == endOfBytes || end == endAtLarge || bytes > limit/2
	switch {
	case end == endAtLarge:
		s.large = largePages
		if count > 0 {
			// Some more than came, so that they fill the page if they are smaller: the server does not read those that do not fit.
			s.size = min(count+count/8+1, s.most)
		}
	case end == endOfBytes:
		s.size = count
	case end == endOfCount && !s.filled:
		s.size = min(2*s.size, s.most)
	}
	switch {
	case end != endOfRange:
		s.window /= 2
	case windowed:
		s.window = min(4*s.window, widestWindow)
	}
	// A log with few holes fills its pages.
	s.window = max(s.window, firstWindow, 2*int64(s.size))
}

// grown says that pages are as large as they get, by count or by bytes.
func (s *pageSize) grown() bool { return s.size >= s.most || s.filled }

// dropBefore leaves out events of partitions that start further on.
func dropBefore(events []LogEvent, ahead apart.Positions) []LogEvent {
	if len(ahead) == 0 {
		return events
	}
	return slices.DeleteFunc(events, func(e LogEvent) bool { return ahead.Passed(e.PartitionID, e.Position) })
}

// pageWanted describes a page of the log: events above a position, up to another one that is stable; so many at most, and so many bytes,
// but for the first one, unless that is large and no page of large events is wanted.
type pageWanted struct {
	after, until int64
	size         int
	bytes        int64
	large        bool
}

// logPage reads a page of the numberer's filter, numbered, into a buffer if that is large enough.
func (r *Repository) logPage(
	ctx context.Context, h Handle, wanted pageWanted, n *numberer, buffer []LogEvent,
) ([]LogEvent, pageEnd, error) {
	rows := rowsOn(h)
	if err := r.queryLog(ctx, rows, wanted, n.filter, n.backwards); err != nil {
		return nil, endOfRange, err
	}
	events, end, err := collect(rows, buffer, logEvent, wanted.size, wanted.bytes)
	if err != nil {
		return nil, endOfRange, err
	}
	return events, end, n.number(ctx, r, h, events)
}

// queryLog runs the query that serves a filter.
func (r *Repository) queryLog(ctx context.Context, h Handle, wanted pageWanted, filter LogFilter, backwards bool) (err error) {
	after, until, size := wanted.after, wanted.until, int32(wanted.size)
	partitions := filter.partitionIDs()
	switch {
	case wanted.large:
		params := db.LogListHeavyParams{After: after, Until: until, PageSize: size, Backwards: backwards, MaxBytes: wanted.bytes}
		filter.fill(&params, partitions)
		_, err = r.queries.LogListHeavy(ctx, h, params)
	case filter.isZero() && backwards:
		_, err = r.queries.LogListBackward(ctx, h, db.LogListBackwardParams{After: after, Until: until, PageSize: size})
	case filter.isZero():
		_, err = r.queries.LogListForward(ctx, h, db.LogListForwardParams{After: after, Until: until, PageSize: size})
	case filter.dense() && !backwards && fewPartitions*len(partitions) <= int(r.partitions.Load()):
		_, err = r.queries.LogListFewPartitions(ctx, h, db.LogListFewPartitionsParams{
			PartitionIds: partitions, After: after, Until: until, PageSize: size,
		})
	case filter.dense() && !backwards:
		_, err = r.queries.LogListPartitions(ctx, h, db.LogListPartitionsParams{
			PartitionIds: partitions, After: after, Until: until, PageSize: size,
		})
	default:
		var given db.LogListHeavyParams
		filter.fill(&given, partitions)
		_, err = r.queries.LogListFiltered(ctx, h, db.LogListFilteredParams{
			After: after, Until: until, PageSize: size, Backwards: backwards,
			PartitionIds: given.PartitionIds, Category: given.Category, Types: given.Types, TenantID: given.TenantID,
		})
	}
	return err
}

// partitionIDs are the partitions as the database is given them.
func (f LogFilter) partitionIDs() []int32 {
	ids := make([]int32, len(f.Partitions))
	for i, p := range f.Partitions {
		ids[i] = int32(p)
	}
	return ids
}

// fill sets what is given, and leaves the rest NULL.
func (f LogFilter) fill(params *db.LogListHeavyParams, partitions []int32) {
	if len(partitions) > 0 {
		params.PartitionIds = partitions
	}
	for _, t := range f.Types {
		params.Types = append(params.Types, string(t))
	}
	if f.Category != "" {
		params.Category = &f.Category
	}
	if f.Tenant != "" {
		tenant := string(f.Tenant)
		params.TenantID = &tenant
	}
}
