package eventstream

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/paging"
)

// LogFilter selects events of the log. The zero value selects all; what is given must all be met.
type LogFilter struct {
	// Partitions selects events of these partitions. Default: nil, which is all.
	Partitions []int `json:"partitions,omitempty"`
	// Category selects events of streams of a category, as StreamID.Category has it: "order" for "order-1", and for "order". Default: "",
	// which is all.
	Category string `json:"category,omitempty"`
	// Types selects events of these types. Default: nil, which is all.
	Types []EventType `json:"types,omitempty"`
	// Tenant selects events of one tenant. Default: "", which is all.
	Tenant TenantID `json:"tenant,omitempty"`
}

func (f LogFilter) isZero() bool { return len(f.Partitions) == 0 && f.dense() }

// dense says whether all events of a partition are selected, if any is.
func (f LogFilter) dense() bool { return f.Category == "" && len(f.Types) == 0 && f.Tenant == "" }

// validate returns the filter in normal form: lists sorted, without duplicates.
func (f LogFilter) validate(partitions int) (LogFilter, error) {
	f.Partitions, f.Types = slices.Clone(f.Partitions), slices.Clone(f.Types)
	slices.Sort(f.Partitions)
	slices.Sort(f.Types)
	f.Partitions, f.Types = slices.Compact(f.Partitions), slices.Compact(f.Types)
	for _, p := range f.Partitions {
		if p < 0 || p >= partitions {
			return f, invalidValue("LogFilter.Partitions", strconv.Itoa(p), "from 0 to "+strconv.Itoa(partitions-1))
		}
	}
	for _, t := range f.Types {
		if err := t.Validate(); err != nil {
			return f, err
		}
	}
	if err := validateCategory("LogFilter.Category", f.Category); err != nil {
		return f, err
	}
	if f.Tenant != "" {
		return f, f.Tenant.Validate()
	}
	return f, nil
}

// json is the filter as eventstream.subscriptions keeps it.
func (f LogFilter) json() []byte {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // of numbers and text
	}
	return text
}

// fewPartitions is the share of all partitions, one in so many, up to which each is read by itself, and not by leaving out the rest.
const fewPartitions = 16

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
) ([]LogEvent, paging.End, error) {
	events, end, err := r.logRows(ctx, h, wanted, n, buffer)
	if err != nil {
		return nil, paging.EndOfRange, err
	}
	return events, end, n.number(ctx, r, h, events)
}

// logRows reads a page of the numberer's filter that is not numbered yet.
func (r *Repository) logRows(
	ctx context.Context, h Handle, wanted pageWanted, n *numberer, buffer []LogEvent,
) ([]LogEvent, paging.End, error) {
	rows := rowsOn(h)
	if err := r.queryLog(ctx, rows, wanted, n.filter, n.backwards); err != nil {
		return nil, paging.EndOfRange, err
	}
	return collect(rows, buffer, logEvent, wanted.size, wanted.bytes)
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
