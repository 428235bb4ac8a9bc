package eventstream

import (
	"context"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/db"
)

// StreamHead is where a stream stands, without its events.
type StreamHead struct {
	// StreamID is the name of the stream.
	StreamID StreamID
	// TenantID is its owner.
	TenantID TenantID
	// Partition is the partition that it was created in.
	Partition PartitionKey
	// CurrentVersion is the highest version that arrived; above Watermark if events are missing.
	CurrentVersion int64
	// Watermark is the version of the last event that readers see.
	Watermark int64
	// LastPosition is the position of that event; 0 while there is none.
	LastPosition int64
	// CreatedAt and UpdatedAt are when the first and the last event arrived, by the database's clock.
	CreatedAt, UpdatedAt time.Time
}

// StreamFilter selects streams. The zero value is all of them.
type StreamFilter struct {
	// Partition selects one partition by its number. Default: nil, which is all.
	Partition *int
	// Tenant selects the streams of one tenant. Default: "", which is all.
	Tenant TenantID
	// Category selects the streams of a category, as StreamID.Category has it: "order" for "order-1", and for "order". Default: "", which is
	// all.
	Category string
	// After leaves out ids up to this one, in byte order: the last id of a page gives the next page. Streams alone uses it.
	// Default: "", which is from the start.
	After StreamID
	// Limit ends the listing after so many streams. Streams alone uses it. Default: 0, which is no limit.
	Limit int
}

// Stream returns the head of a stream, or a *StreamNotFoundError.
func (r *Repository) Stream(ctx context.Context, id StreamID) (StreamHead, error) {
	return r.stream(ctx, r.handle, id)
}

// Watermark returns the version up to which every event of a stream exists, or a *StreamNotFoundError.
func (r *Repository) Watermark(ctx context.Context, id StreamID) (int64, error) {
	head, err := r.stream(ctx, r.handle, id)
	return head.Watermark, err
}

// Streams lists heads in byte order of their ids, in pages of Config.PageSize, as Read does. An error comes once, as the last
// pair.
func (r *Repository) Streams(ctx context.Context, filter StreamFilter) iter.Seq2[StreamHead, error] {
	return func(yield func(StreamHead, error) bool) {
		filter, err := r.checkFilter(ctx, r.handle, filter)
		if err != nil {
			yield(StreamHead{}, err)
			return
		}
		for left := filter.Limit; ; {
			size := r.config.PageSize
			if filter.Limit > 0 {
				size = min(size, left)
			}
			rows, err := r.streamPage(ctx, r.handle, filter, size)
			if err != nil {
				yield(StreamHead{}, mapError(unreadable(err)))
				return
			}
			for _, row := range rows {
				if !yield(headFromRow(db.StreamGetRow(row)), nil) {
					return
				}
			}
			if left -= len(rows); len(rows) < size || left == 0 {
				return
			}
			filter.After = StreamID(rows[len(rows)-1].StreamID)
		}
	}
}

// CountStreams counts the streams that a filter selects, by reading all of their heads.
func (r *Repository) CountStreams(ctx context.Context, filter StreamFilter) (int64, error) {
	filter, err := r.checkFilter(ctx, r.handle, filter)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, ids := range filter.idRanges() {
		p := db.StreamCountParams{FromID: ids.from, ToID: ids.to}
		p.TenantID, p.PartitionID = filter.optional()
		count, err := r.queries.StreamCount(ctx, r.handle, p)
		if err != nil {
			return 0, mapError(err)
		}
		total += count
	}
	return total, nil
}

func (r *Repository) stream(ctx context.Context, h Handle, id StreamID) (StreamHead, error) {
	if err := id.Validate(); err != nil {
		return StreamHead{}, err
	}
	row, err := r.queries.StreamGet(ctx, h, string(id))
	if err != nil {
		return StreamHead{}, notFound(unreadable(err), &StreamNotFoundError{StreamID: id})
	}
	return headFromRow(row), nil
}

func (r *Repository) streamPage(ctx context.Context, h Handle, filter StreamFilter, size int) (page []db.StreamListRow, err error) {
	for _, ids := range filter.idRanges() {
		p := db.StreamListParams{PageSize: int32(size - len(page)), After: string(filter.After), FromID: ids.from, ToID: ids.to}
		p.TenantID, p.PartitionID = filter.optional()
		if p.PageSize == 0 || string(filter.After) >= ids.to {
			continue
		}
		rows, err := r.queries.StreamList(ctx, h, p)
		if err != nil {
			return nil, err
		}
		page = append(page, rows...)
	}
	return page, nil
}

// checkFilter refuses a filter that cannot select anything, and gives it within the repository's tenant.
func (r *Repository) checkFilter(ctx context.Context, h Handle, filter StreamFilter) (_ StreamFilter, err error) {
	if filter.Limit < 0 {
		return filter, invalidValue("StreamFilter.Limit", strconv.Itoa(filter.Limit), "0 or more")
	}
	if filter.Tenant != "" {
		if err := filter.Tenant.Validate(); err != nil {
			return filter, err
		}
	}
	if filter.Tenant, err = r.tenantOf("StreamFilter.Tenant", filter.Tenant); err != nil {
		return filter, err
	}
	if err := validateCategory("StreamFilter.Category", filter.Category); err != nil {
		return filter, err
	}
	if filter.Partition == nil {
		return filter, nil
	}
	count, err := r.partitionCount(ctx, h)
	if err != nil {
		return filter, err
	}
	_, err = NewPartitionKey(*filter.Partition, count)
	return filter, err
}

// afterAllIDs sorts behind every stream id: it is longer than one may be, of the highest character.
var afterAllIDs = strings.Repeat("\U0010FFFF", 33)

// idRange is the ids from one, to before another.
type idRange struct{ from, to string }

// idRanges returns the ids that a category spans, in byte order: the one without a dash, and those with it. No id has a control character,
// and "." follows "-".
func (f StreamFilter) idRanges() []idRange {
	if f.Category == "" {
		return []idRange{{"", afterAllIDs}}
	}
	return []idRange{{f.Category, f.Category + "\x01"}, {f.Category + "-", f.Category + "."}}
}

// optional returns what the filter selects by, nil for what it does not.
func (f StreamFilter) optional() (tenant *string, partition *int32) {
	if f.Tenant != "" {
		name := string(f.Tenant)
		tenant = &name
	}
	if f.Partition != nil {
		id := int32(*f.Partition)
		partition = &id
	}
	return tenant, partition
}

func headFromRow(row db.StreamGetRow) StreamHead {
	return StreamHead{
		StreamID:       StreamID(row.StreamID),
		TenantID:       TenantID(row.TenantID),
		Partition:      PartitionKey{ID: int(row.PartitionID), Count: int(row.PartitionCount)},
		CurrentVersion: row.CurrentVersion,
		Watermark:      row.Watermark,
		LastPosition:   row.LastPosition,
		CreatedAt:      row.CreatedAt.UTC(),
		UpdatedAt:      row.UpdatedAt.UTC(),
	}
}
