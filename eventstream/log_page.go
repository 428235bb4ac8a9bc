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
	// firstWindow and widestWindow bound how many positions one query of a filtered reader goes through.
	firstWindow, widestWindow = 4096, 1 << 20
)

// pageSize adapts how much is read at once: full pages ask for larger ones and a narrower window, heavy pages for smaller ones,
// pages that are not full for a wider window.
type pageSize struct {
	// most bounds size.
	most int
	// size is how many events to ask for, window in how many positions.
	size   int
	window int64
}

// next returns how many events to ask for, at most limit.
func (s *pageSize) next(limit int) int {
	if s.size == 0 {
		s.size, s.window = min(firstPage, s.most), firstWindow
	}
	return min(s.size, limit)
}

// adapt takes in how the last page was.
func (s *pageSize) adapt(full bool, bytes int) {
	switch {
	case bytes > pageBytes:
		s.size = max(s.size/2, 1)
	case full && 2*bytes <= pageBytes:
		s.size = min(2*s.size, s.most)
	}
	if full {
		s.window = max(s.window/2, firstWindow)
	} else {
		s.window = min(4*s.window, widestWindow)
	}
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

// logPage reads the events above a position, up to another one that is stable, of the numberer's filter: at most size, numbered.
func (r *Repository) logPage(ctx context.Context, h Handle, after, until int64, size int, n *numberer) ([]LogEvent, error) {
	rows, err := r.logRows(ctx, h, after, until, int32(size), n.filter, n.backwards)
	if err != nil {
		return nil, err
	}
	events := make([]LogEvent, len(rows))
	for i := range rows {
		events[i].Event = eventFromRow(&rows[i])
	}
	return events, n.number(ctx, r, h, events)
}

func (r *Repository) logRows(
	ctx context.Context, h Handle, after, until int64, size int32, filter LogFilter, backwards bool,
) ([]db.Event, error) {
	partitions := make([]int32, len(filter.Partitions))
	for i, p := range filter.Partitions {
		partitions[i] = int32(p)
	}
	switch {
	case filter.isZero() && backwards:
		return r.queries.LogListBackward(ctx, h, db.LogListBackwardParams{After: after, Until: until, PageSize: size})
	case filter.isZero():
		return r.queries.LogListForward(ctx, h, db.LogListForwardParams{After: after, Until: until, PageSize: size})
	case filter.dense() && !backwards:
		return r.queries.LogListPartitions(ctx, h, db.LogListPartitionsParams{
			PartitionIds: partitions, After: after, Until: until, PageSize: size,
		})
	}
	return r.filteredRows(ctx, h, db.LogListFilteredParams{
		After: after, Until: until, PageSize: size, Backwards: backwards, PartitionIds: partitions,
	}, filter)
}

func (r *Repository) filteredRows(
	ctx context.Context, h Handle, params db.LogListFilteredParams, filter LogFilter,
) ([]db.Event, error) {
	if len(params.PartitionIds) == 0 {
		params.PartitionIds = nil
	}
	for _, t := range filter.Types {
		params.Types = append(params.Types, string(t))
	}
	if filter.Category != "" {
		params.Category = &filter.Category
	}
	if filter.Tenant != "" {
		tenant := string(filter.Tenant)
		params.TenantID = &tenant
	}
	rows, err := r.queries.LogListFiltered(ctx, h, params)
	if err != nil {
		return nil, err
	}
	events := make([]db.Event, len(rows))
	for i, row := range rows {
		events[i] = db.Event{
			Position: row.Position, Version: row.Version, EventID: row.EventID,
			OccurredAt: row.OccurredAt, RecordedAt: row.RecordedAt,
			PartitionID: row.PartitionID, StreamID: row.StreamID, TenantID: row.TenantID, Type: row.Type,
			Payload: row.Payload, Data: row.Data, Metadata: row.Metadata,
		}
	}
	return events, nil
}
