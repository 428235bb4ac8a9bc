package eventstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gaplesspg/gapless/db"
)

// ClosedType is the type of the event that closes a stream: nothing follows it, whoever writes. CloseStream appends it; Ingest and Import
// take it as the last event of a stream.
const ClosedType EventType = "$closed"

// ErrStreamClosed says that a stream was closed for good. See StreamClosedError.
var ErrStreamClosed = errors.New("stream is closed for good: begin another one")

// StreamClosedError says that a stream takes no event, since it was closed.
type StreamClosedError struct {
	// StreamID is the stream.
	StreamID StreamID
	// Version is that of the event that closed it: the last one.
	Version int64
}

// Error names the stream, and where it was closed.
func (e *StreamClosedError) Error() string {
	return fmt.Sprintf("stream %s is closed: version %d, of type %s, is its last event. Begin another stream",
		quote(string(e.StreamID)), e.Version, ClosedType)
}

// Is matches ErrStreamClosed.
func (e *StreamClosedError) Is(target error) bool { return target == ErrStreamClosed }

// CloseStream closes a stream for good, by an event of ClosedType that holds the reason, and returns its version. Whatever is appended then is
// a *StreamClosedError. A stream that is closed already stays as it is, and its last version is returned. Refusals are those of Append.
func (r *Repository) CloseStream(ctx context.Context, id StreamID, expected Expected, reason string) (int64, error) {
	wire, err := expectedWire(expected)
	if err != nil {
		return 0, err
	}
	if err := errorsFirst(r.forAllTenants("closing a stream"), id.Validate()); err != nil {
		return 0, err
	}
	if strings.TrimSpace(reason) == "" {
		return 0, invalidValue("reason", reason, "text that says why: it stays on record")
	}
	var version int64
	err = r.project(ctx, r.handle, func(h Handle) ([]versionRange, error) {
		row, err := r.queries.CloseStream(ctx, h, db.CloseStreamParams{StreamID: string(id), Reason: reason, Expected: wire})
		if err != nil {
			return nil, fmt.Errorf("close stream %s: %w", quote(string(id)), mapError(err))
		}
		if version = row.Version; !row.IsNew {
			return nil, nil
		}
		return []versionRange{{id, version, version}}, nil
	})
	r.hook.call()
	return version, err
}

// IsClosed reports whether the last event that the stream has in memory closed it for good.
func (s *EventStream) IsClosed() bool {
	return len(s.events) > 0 && s.events[len(s.events)-1].Type == ClosedType
}

// checkNotClosing refuses an event that would close its stream on the way: a call that holds several requests is judged by streams, not by
// types.
func checkNotClosing(events []Event) error {
	for i := range events {
		if events[i].Type == ClosedType {
			return invalidValue("event_type", string(ClosedType), "left to CloseStream: it closes the stream")
		}
	}
	return nil
}

// Erasure says what Erase takes away.
type Erasure struct {
	// StreamID is the stream. Required.
	StreamID StreamID
	// From is the first version. Required: 1 is the first one of the stream.
	From int64
	// To is the last version. Default: 0, which is the last one of the stream.
	To int64
	// Reason says why. It stays on record for good, so it names no person. Required.
	Reason string
	// Tell says whether the log gets an event of ErasedType. Default: nil, which is if the filter of a subscription asks for that type, or
	// for the category $erasures.
	Tell *bool
}

// Erase takes payload, data and metadata away from events, for good: the events stay, with their versions and their places in the log, and are
// Erased. Seals stay valid, since the digests of what was taken away are kept, in eventstream.erasures, with who did it, when and why.
// Snapshots of the stream are deleted. It returns how many events it erased: 0 if all of them were erased before. A stream that does not exist is
// a *StreamNotFoundError, a version that it does not have an *InvalidValueError. It is for all tenants: a repository of ForTenant refuses it,
// whatever the stream.
func (r *Repository) Erase(ctx context.Context, erasure Erasure) (int64, error) {
	if err := errorsFirst(r.forAllTenants("an erasure: call it on the one that ForTenant was called on"), erasure.validate()); err != nil {
		return 0, err
	}
	erased, err := r.queries.Erase(ctx, r.handle, db.EraseParams{
		StreamID: string(erasure.StreamID), FromVersion: erasure.From, ToVersion: erasure.To, Reason: erasure.Reason, Tell: erasure.Tell,
	})
	if err != nil {
		return 0, fmt.Errorf("erase from stream %s: %w", quote(string(erasure.StreamID)), mapError(err))
	}
	return erased, nil
}

func (e Erasure) validate() error {
	if err := e.StreamID.Validate(); err != nil {
		return err
	}
	switch {
	case e.From < 1:
		return invalidValue("from version", strconv.FormatInt(e.From, 10), "1 or more")
	case e.To < 0 || e.To > 0 && e.To < e.From:
		return invalidValue("to version", strconv.FormatInt(e.To, 10), "0 for the last one, or from version or more")
	case strings.TrimSpace(e.Reason) == "":
		return invalidValue("reason", e.Reason, "text that says why: it stays on record")
	}
	return nil
}
