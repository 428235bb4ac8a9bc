package eventstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/db"
)

// MaxEventsPerCall bounds the events of one Append, AppendMany or Ingest: the call is one statement, and holds its streams
// until it ends.
const MaxEventsPerCall = 100_000

// AppendResult says where an append ended up.
type AppendResult struct {
	// FirstVersion and LastVersion are the versions of the first and the last event of the append.
	FirstVersion, LastVersion int64
	// LastPosition is the position of the last event in the log of all streams.
	LastPosition int64
	// CurrentVersion is the stream's version: LastVersion, or above it if Duplicate and the stream has moved on.
	CurrentVersion int64
	// Duplicate says that these very events were appended before, and nothing was written now. The other fields are those of
	// the first time.
	Duplicate bool
}

// AppendRequest is one stream's part of an AppendMany.
type AppendRequest struct {
	// StreamID is the stream to append to.
	StreamID StreamID
	// Expected is what the stream must look like. Required.
	Expected Expected
	// Events are appended in this order; at least one.
	Events []Event
	// Partition places a new stream, to keep related streams together; a stream that exists must be in it. Default: nil, which
	// is PartitionOf the id.
	Partition *PartitionKey
	// Newer makes the *VersionConflictError of a refusal bring the events that came after the version of Exact, oldest first, and at most so
	// many, from 0 to 1000: who decides anew then needs no second look. All refusals of a statement bring 1 MiB together at most, so there may
	// be fewer; and there are none for a role that may not read eventstream.events. Default: 0, which brings none.
	Newer int
}

// Append appends events to a stream, all or nothing, in one round trip. Events whose ids were appended before, to this stream
// and in this order, are a Duplicate and change nothing, whatever is expected: trying again after a lost connection is safe.
//
// A refusal is a *VersionConflictError, *StreamExistsError, *StreamMissingError, *StreamClosedError, *GapError, *TenantMismatchError,
// *EventIDConflictError or *InvalidValueError, and leaves nothing behind, not even a used up position. A Duplicate may use positions up.
func (r *Repository) Append(ctx context.Context, id StreamID, expected Expected, events ...Event) (AppendResult, error) {
	return r.append(ctx, AppendRequest{StreamID: id, Expected: expected, Events: events})
}

// AppendMany appends to many streams, all or nothing, in one round trip, and returns a result for each request in their order.
// Requests to the same stream are applied one after the other. If any is refused, nothing is appended, and the error is a
// *BatchError with what is wrong with each that was refused.
func (r *Repository) AppendMany(ctx context.Context, requests ...AppendRequest) ([]AppendResult, error) {
	if r.trace == nil {
		return r.appendMany(ctx, requests, nil)
	}
	trace := r.startAppend(ctx, requests)
	results, err := r.appendMany(trace.ctx, trace.requests, trace)
	trace.end(results, err)
	return results, err
}

func (r *Repository) appendMany(ctx context.Context, requests []AppendRequest, trace *appendTrace) ([]AppendResult, error) {
	item, err := r.newAppendItem(requests, trace)
	if err != nil {
		return nil, err
	}
	results := make([]AppendResult, len(requests))
	err = r.project(ctx, r.handle, func(h Handle) ([]versionRange, error) {
		rows, err := r.write(ctx, h, item)
		if err != nil {
			return nil, mapError(err)
		}
		var refused []RequestError
		for i, row := range rows {
			results[i] = appendResult(row)
			if err := refusal(requests[i], row, item.bound); err != nil {
				refused = append(refused, RequestError{Index: i, StreamID: requests[i].StreamID, Err: err})
			}
		}
		if refused != nil {
			item.tellMissed(refused)
			return nil, &BatchError{Requests: len(requests), Refused: refused}
		}
		return added(requests, results), nil
	})
	r.hook.call()
	if err != nil {
		return nil, appendFailed(ctx, requests[0], err)
	}
	return results, nil
}

func (r *Repository) append(ctx context.Context, request AppendRequest) (AppendResult, error) {
	if r.trace == nil {
		return r.appendOne(ctx, request, nil)
	}
	trace := r.startAppend(ctx, []AppendRequest{request})
	result, err := r.appendOne(trace.ctx, trace.requests[0], trace)
	trace.end([]AppendResult{result}, err)
	return result, err
}

func (r *Repository) appendOne(ctx context.Context, request AppendRequest, trace *appendTrace) (AppendResult, error) {
	requests := []AppendRequest{request}
	item, err := r.newAppendItem(requests, trace)
	if err != nil {
		return AppendResult{}, err
	}
	var result AppendResult
	err = r.project(ctx, r.handle, func(h Handle) ([]versionRange, error) {
		rows, err := r.write(ctx, h, item)
		if err != nil {
			return nil, mapError(err)
		}
		if result, err = appendOutcome(request, rows[0], item.bound); err != nil {
			return nil, err
		}
		return added(requests, []AppendResult{result}), nil
	})
	r.hook.call()
	if err != nil {
		return AppendResult{}, appendFailed(ctx, request, err)
	}
	return result, nil
}

// appendOutcome is the result of a request, or why it was refused.
func appendOutcome(request AppendRequest, row db.AppendBatchRow, bound bool) (AppendResult, error) {
	if err := refusal(request, row, bound); err != nil {
		return AppendResult{}, err
	}
	if row.Outcome != "appended" && row.Outcome != "duplicate" {
		return AppendResult{}, fmt.Errorf("append to stream %s: the database answers %s: it is newer than this program",
			quote(string(request.StreamID)), quote(row.Outcome))
	}
	return appendResult(row), nil
}

// appendFailed says of an append that its context ended, where that is why it failed.
func appendFailed(ctx context.Context, request AppendRequest, err error) error {
	var canceled *AppendCanceledError
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) && !errors.As(err, &canceled) {
		return &AppendCanceledError{StreamID: request.StreamID, Sent: !pgconn.SafeToRetry(err), Err: err}
	}
	return err
}

func appendResult(row db.AppendBatchRow) AppendResult {
	return AppendResult{
		FirstVersion:   row.FirstVersion,
		LastVersion:    row.LastVersion,
		LastPosition:   row.LastPosition,
		CurrentVersion: row.CurrentVersion,
		Duplicate:      row.Outcome == "duplicate",
	}
}

// refusal turns the outcome of a request into its error. An empty outcome is a request that another one took down with it. Where the append
// was bound to a tenant, the row names that one, whosever the stream is.
func refusal(request AppendRequest, row db.AppendBatchRow, bound bool) error {
	id := request.StreamID
	switch row.Outcome {
	case "version_conflict":
		return &VersionConflictError{StreamID: id, Expected: request.Expected.wire(), Actual: row.CurrentVersion}
	case "stream_exists":
		return &StreamExistsError{StreamID: id, Actual: row.CurrentVersion}
	case "stream_missing":
		return &StreamMissingError{StreamID: id}
	case "tenant_mismatch":
		if bound {
			return &TenantMismatchError{StreamID: id, EventTenant: TenantID(row.TenantID)}
		}
		return &TenantMismatchError{StreamID: id, StreamTenant: TenantID(row.TenantID), EventTenant: request.Events[0].TenantID}
	case "gap":
		return &GapError{StreamID: id, FirstMissing: row.Watermark + 1, CurrentVersion: row.CurrentVersion}
	case "closed":
		return &StreamClosedError{StreamID: id, Version: row.CurrentVersion}
	}
	return nil
}
