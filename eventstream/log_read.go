package eventstream

import (
	"context"

	"github.com/gaplesspg/gapless/db"
)

// logPage reads the events above a position, up to another one that is stable, of a filter: at most size, numbered.
func (r *Repository) logPage(
	ctx context.Context, h Handle, after, until int64, size int, filter LogFilter, backwards bool,
) ([]LogEvent, error) {
	rows, err := r.logRows(ctx, h, after, until, int32(size), filter, backwards)
	if err != nil {
		return nil, err
	}
	events := make([]LogEvent, len(rows))
	for i := range rows {
		events[i].Event = eventFromRow(&rows[i])
	}
	return events, r.number(ctx, h, events, filter.dense(), backwards)
}

func (r *Repository) logRows(
	ctx context.Context, h Handle, after, until int64, size int32, filter LogFilter, backwards bool,
) ([]db.Event, error) {
	switch {
	case !filter.isZero():
		return r.filteredRows(ctx, h, after, until, size, filter, backwards)
	case backwards:
		return r.queries.LogListBackward(ctx, h, db.LogListBackwardParams{After: after, Until: until, PageSize: size})
	}
	return r.queries.LogListForward(ctx, h, db.LogListForwardParams{After: after, Until: until, PageSize: size})
}

func (r *Repository) filteredRows(
	ctx context.Context, h Handle, after, until int64, size int32, filter LogFilter, backwards bool,
) ([]db.Event, error) {
	params := db.LogListFilteredParams{After: after, Until: until, PageSize: size, Backwards: backwards}
	for _, p := range filter.Partitions {
		params.PartitionIds = append(params.PartitionIds, int32(p))
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
	for i := range rows {
		events[i] = db.Event(rows[i])
	}
	return events, nil
}
