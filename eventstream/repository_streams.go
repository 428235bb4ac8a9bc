package eventstream

import (
	"context"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
	// CreatedAt and UpdatedAt are when the first event arrived and when the head moved last, by the database's clock.
	CreatedAt, UpdatedAt time.Time
}

// StreamFilter selects streams. The zero value is all of them.
type StreamFilter struct {
	// Partition selects one partition by its number. Default: nil, which is all.
	Partition *int
	// Tenant selects the streams of one tenant. Default: "", which is all.
	Tenant TenantID
	// Category selects the streams whose ids start with it and a "-": "order" for "order-1". Default: "", which is all.
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

// StreamTx is Stream in a transaction of the caller.
func (r *Repository) StreamTx(ctx context.Context, tx pgx.Tx, id StreamID) (StreamHead, error) {
	return r.stream(ctx, tx, id)
}

// Watermark returns the version up to which every event of a stream is there, or a *StreamNotFoundError.
func (r *Repository) Watermark(ctx context.Context, id StreamID) (int64, error) {
	head, err := r.stream(ctx, r.handle, id)
	return head.Watermark, err
}

// WatermarkTx is Watermark in a transaction of the caller.
func (r *Repository) WatermarkTx(ctx context.Context, tx pgx.Tx, id StreamID) (int64, error) {
	head, err := r.stream(ctx, tx, id)
	return head.Watermark, err
}

// Streams lists heads in byte order of their ids, in pages of Config.PageSize, as Read does. An error comes once, as the last
// pair.
func (r *Repository) Streams(ctx context.Context, filter StreamFilter) iter.Seq2[StreamHead, error] {
	return r.streams(ctx, r.handle, filter)
}

// StreamsTx is Streams in a transaction of the caller.
func (r *Repository) StreamsTx(ctx context.Context, tx pgx.Tx, filter StreamFilter) iter.Seq2[StreamHead, error] {
	return r.streams(ctx, tx, filter)
}

// CountStreams counts the streams that a filter selects, by reading all of their heads.
func (r *Repository) CountStreams(ctx context.Context, filter StreamFilter) (int64, error) {
	return r.countStreams(ctx, r.handle, filter)
}

// CountStreamsTx is CountStreams in a transaction of the caller.
func (r *Repository) CountStreamsTx(ctx context.Context, tx pgx.Tx, filter StreamFilter) (int64, error) {
	return r.countStreams(ctx, tx, filter)
}

func (r *Repository) stream(ctx context.Context, h Handle, id StreamID) (StreamHead, error) {
	if err := id.Validate(); err != nil {
		return StreamHead{}, err
	}
	row, err := r.queries.StreamGet(ctx, h, string(id))
	if err != nil {
		return StreamHead{}, notFound(err, &StreamNotFoundError{StreamID: id})
	}
	return headFromRow(row.Stream, row.PartitionCount), nil
}

func (r *Repository) streams(ctx context.Context, h Handle, filter StreamFilter) iter.Seq2[StreamHead, error] {
	return func(yield func(StreamHead, error) bool) {
		partitions, err := r.checkFilter(ctx, h, filter)
		if err != nil {
			yield(StreamHead{}, err)
			return
		}
		for left := filter.Limit; ; {
			size := r.config.PageSize
			if filter.Limit > 0 {
				size = min(size, left)
			}
			rows, err := r.streamPage(ctx, h, filter, size)
			if err != nil {
				yield(StreamHead{}, mapError(err))
				return
			}
			for _, row := range rows {
				if !yield(headFromRow(row, int32(partitions)), nil) {
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

func (r *Repository) streamPage(ctx context.Context, h Handle, filter StreamFilter, size int) ([]db.Stream, error) {
	from, to := filter.idRange()
	switch {
	case filter.Partition != nil:
		return r.queries.StreamListByPartition(ctx, h, db.StreamListByPartitionParams{
			PartitionID: int32(*filter.Partition), TenantID: string(filter.Tenant),
			After: string(filter.After), FromID: from, ToID: to, PageSize: int32(size),
		})
	case filter.Tenant != "":
		return r.queries.StreamListByTenant(ctx, h, db.StreamListByTenantParams{
			TenantID: string(filter.Tenant), After: string(filter.After), FromID: from, ToID: to, PageSize: int32(size),
		})
	default:
		return r.queries.StreamList(ctx, h, db.StreamListParams{
			After: string(filter.After), FromID: from, ToID: to, PageSize: int32(size),
		})
	}
}

func (r *Repository) countStreams(ctx context.Context, h Handle, filter StreamFilter) (int64, error) {
	if _, err := r.checkFilter(ctx, h, filter); err != nil {
		return 0, err
	}
	partition := int32(-1)
	if filter.Partition != nil {
		partition = int32(*filter.Partition)
	}
	from, to := filter.idRange()
	count, err := r.queries.StreamCount(ctx, h, db.StreamCountParams{
		TenantID: string(filter.Tenant), PartitionID: partition, FromID: from, ToID: to,
	})
	return count, mapError(err)
}

// checkFilter refuses a filter that cannot select anything, and returns the store's partition count.
func (r *Repository) checkFilter(ctx context.Context, h Handle, filter StreamFilter) (int, error) {
	if filter.Limit < 0 {
		return 0, invalidValue("StreamFilter.Limit", strconv.Itoa(filter.Limit), "0 or more")
	}
	if filter.Tenant != "" {
		if err := filter.Tenant.Validate(); err != nil {
			return 0, err
		}
	}
	if strings.Contains(filter.Category, "-") {
		return 0, invalidValue("StreamFilter.Category", filter.Category, "the part of an id before its first -")
	}
	count, err := r.partitionCount(ctx, h)
	if err != nil {
		return 0, err
	}
	if filter.Partition != nil {
		_, err = NewPartitionKey(*filter.Partition, count)
	}
	return count, err
}

// afterAllIDs sorts behind every stream id: it is longer than one may be, of the highest character.
var afterAllIDs = strings.Repeat("\U0010FFFF", 33)

// idRange returns the ids that a category spans: from the first, to before the second. "." follows "-" in byte order.
func (f StreamFilter) idRange() (from, to string) {
	if f.Category == "" {
		return "", afterAllIDs
	}
	return f.Category + "-", f.Category + "."
}

func headFromRow(row db.Stream, partitionCount int32) StreamHead {
	return StreamHead{
		StreamID:       StreamID(row.StreamID),
		TenantID:       TenantID(row.TenantID),
		Partition:      PartitionKey{ID: int(row.PartitionID), Count: int(partitionCount)},
		CurrentVersion: row.CurrentVersion,
		Watermark:      row.Watermark,
		LastPosition:   row.LastPosition,
		CreatedAt:      row.CreatedAt.UTC(),
		UpdatedAt:      row.UpdatedAt.UTC(),
	}
}
