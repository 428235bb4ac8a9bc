package eventstream

import (
	"context"
	"slices"

	"github.com/gaplesspg/gapless/db"
)

const (
	// firstPage is the size of the first page; full pages double it.
	firstPage = 64
	// pagesPerRead is how many times Config.PageSize a page of the log may grow to.
	pagesPerRead = 8
	// pageBytes is what a page should not exceed: with large payloads pages get smaller.
	pageBytes = 4 << 20
	// fewPartitions is the share of all partitions, one in so many, up to which each is read by itself, and not by leaving out the rest.
	fewPartitions = 16
	// firstWindow and widestWindow bound how many positions one query goes through: all of them, if no index serves its filter, or if the
	// planner, which does not know a table that was never analyzed, prefers sorting them to following the index.
	firstWindow, widestWindow = 4096, 1 << 20
)

// pageSize adapts how much is read at once: full pages ask for larger ones and a narrower window, heavy pages for smaller ones,
// pages that are not full for a wider window.
type pageSize struct {
	// most bounds size.
	most int
	// size is how many events to ask for, window in how many positions, and room how many to expect.
	size, room int
	window     int64
}

// next returns how many events to ask for, at most limit.
func (s *pageSize) next(limit int) int {
	if s.size == 0 {
		s.size, s.window = min(firstPage, s.most), firstWindow
	}
	return min(s.size, limit)
}

// adapt takes in how the last page was: how many events it had, whether they were all that was asked for, or, if not, whether it was the
// window that ended it, and their bytes.
func (s *pageSize) adapt(count int, full, windowed bool, bytes int) {
	switch {
	case bytes > pageBytes:
		// As many of the same weight as fit.
		s.size = max(int(int64(count)*pageBytes/int64(bytes)), 1)
	case full && 2*bytes <= pageBytes:
		s.size = min(2*s.size, s.most)
	}
	switch {
	case full:
		s.window /= 2
	case windowed:
		s.window = min(4*s.window, widestWindow)
	}
	// A log with few holes fills its pages.
	s.window = max(s.window, firstWindow, 2*int64(s.size))
}

func bytesOf(events []LogEvent) int {
	bytes := 0
	for i := range events {
		bytes += len(events[i].Payload) + len(events[i].Data) + len(events[i].Metadata)
	}
	return bytes
}

// dropBefore leaves out events of partitions that start further on.
func dropBefore(events []LogEvent, apart map[int]int64) []LogEvent {
	if len(apart) == 0 {
		return events
	}
	return slices.DeleteFunc(events, func(e LogEvent) bool { return e.Position <= apart[e.PartitionID] })
}

// logPage reads the events above a position, up to another one that is stable, of the numberer's filter: at most size, numbered. room is
// how many are expected, and buffer is reused if that many fit.
func (r *Repository) logPage(
	ctx context.Context, h Handle, after, until int64, size, room int, n *numberer, buffer []LogEvent,
) ([]LogEvent, error) {
	rows := &rowsOf{Handle: h}
	if err := r.queryLog(ctx, rows, after, until, int32(size), n.filter, n.backwards); err != nil {
		return nil, err
	}
	events, err := rows.collect(buffer, min(size, room))
	if err != nil {
		return nil, err
	}
	return events, n.number(ctx, r, h, events)
}

// queryLog runs the query that serves a filter.
func (r *Repository) queryLog(
	ctx context.Context, h Handle, after, until int64, size int32, filter LogFilter, backwards bool,
) (err error) {
	partitions := make([]int32, len(filter.Partitions))
	for i, p := range filter.Partitions {
		partitions[i] = int32(p)
	}
	switch {
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
		params := db.LogListFilteredParams{After: after, Until: until, PageSize: size, Backwards: backwards}
		filter.fill(&params, partitions)
		_, err = r.queries.LogListFiltered(ctx, h, params)
	}
	return err
}

// fill sets what is given, and leaves the rest NULL.
func (f LogFilter) fill(params *db.LogListFilteredParams, partitions []int32) {
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
