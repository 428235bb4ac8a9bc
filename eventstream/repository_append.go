package eventstream

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
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
	// many, from 0 to 1000: a caller that decides anew then needs no second look. All refusals of a statement bring 1 MiB together at most, so there may
	// be fewer; and there are none for a role that may not read eventstream.events. Default: 0, which brings none.
	Newer int
}

// Expected says what a stream must look like for an append to go through: Any, Exists, Empty or Exact. It is closed: no
// other package can add a kind, so that every kind has a meaning in the database too.
type Expected interface {
	// String returns "any", "exists", "empty" or "exact(5)".
	String() string

	// wire returns the number that the SQL functions take: n >= 0 is exactly n, and the others lie below.
	wire() int64
	// validate returns an *InvalidValueError for an expectation that no stream can meet.
	validate() error
}

// expectation is the type of the expectations that carry no number. Its values are those that travel to the database.
type expectation int64

const (
	// Any expects nothing: the append goes through at every version. It gives up protection against a concurrent writer.
	Any expectation = -1
	// Exists expects at least one event, else the append fails with ErrStreamMissing.
	Exists expectation = -2
	// Empty expects no event yet, else the append fails with ErrStreamExists.
	Empty expectation = -3
)

// String returns "any", "exists" or "empty".
func (e expectation) String() string {
	switch e {
	case Any:
		return "any"
	case Exists:
		return "exists"
	case Empty:
		return "empty"
	default:
		return "invalid(" + strconv.FormatInt(int64(e), 10) + ")"
	}
}

func (e expectation) wire() int64 { return int64(e) }

// A caller can make others out of the constants, as in Any+1, though not by accident.
func (e expectation) validate() error {
	if e < Empty || e > Any {
		return invalidValue("expected version", e.String(), "Any, Exists, Empty or Exact(n)")
	}
	return nil
}

// exact is a type of its own so that Exact(-1) is an error rather than another spelling of Any.
type exact int64

// Exact expects the stream to be at version, which counts its events: Exact(0) is a stream without any. Otherwise the append
// fails with a *VersionConflictError. A negative version is reported by the append, as an *InvalidValueError.
func Exact(version int64) Expected { return exact(version) }

// String returns "exact(5)".
func (e exact) String() string { return "exact(" + strconv.FormatInt(int64(e), 10) + ")" }

func (e exact) wire() int64 { return int64(e) }

func (e exact) validate() error {
	if e < 0 {
		return invalidValue("expected version", strconv.FormatInt(int64(e), 10), "0 or more")
	}
	return nil
}

// expectedWire returns the number that stands for e in SQL. A nil Expected is refused rather than read as Any: leaving
// the expectation out must not switch the protection off.
func expectedWire(e Expected) (int64, error) {
	if e == nil {
		return 0, invalidValue("expected version", "nil", "Any, Exists, Empty or Exact(n)")
	}
	if err := e.validate(); err != nil {
		return 0, err
	}
	return e.wire(), nil
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

// checkRepeats refuses requests that hold one event twice: the database would say no more than that the id is taken. Ids that rise, as those of
// NewEvent do, cost one comparison each; others a map of all.
func checkRepeats(requests []AppendRequest, count int) error {
	if idsRise(requests) {
		return nil
	}
	seen := make(map[uuid.UUID]StreamID, count)
	for _, request := range requests {
		for i := range request.Events {
			id := request.Events[i].ID
			if stream, again := seen[id]; again {
				return &EventIDConflictError{
					EventID: id, StreamID: request.StreamID, Problem: fmt.Sprintf("is given twice in one call, first for stream %s", quote(string(stream))),
				}
			}
			seen[id] = request.StreamID
		}
	}
	return nil
}

func idsRise(requests []AppendRequest) bool {
	var last uuid.UUID
	for _, request := range requests {
		for i := range request.Events {
			id := request.Events[i].ID
			if bytes.Compare(id[:], last[:]) <= 0 {
				return false
			}
			last = id
		}
	}
	return true
}
