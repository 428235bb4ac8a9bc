package eventstream

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// Conditions to test for with errors.Is. Where an error carries data, errors.As with the struct of the same name gives it.
var (
	// ErrVersionConflict says that a stream is not at the version that the writer expected. See VersionConflictError,
	// StreamExistsError and StreamMissingError, which all match it.
	ErrVersionConflict = errors.New("version conflict: load the stream again and decide anew")
	// ErrStreamExists says that a stream has events where Empty was expected. See StreamExistsError.
	ErrStreamExists = errors.New("stream exists: load it and decide anew, or append without the expectation Empty")
	// ErrStreamMissing says that a stream has no events where Exists was expected. See StreamMissingError.
	ErrStreamMissing = errors.New("stream is missing: append its first event without the expectation Exists")
	// ErrStreamNotFound says that there is no stream of this id to read, archive or erase. See StreamNotFoundError.
	ErrStreamNotFound = errors.New("stream not found: check its id, or append to it to create it")
	// ErrEventNotFound says that there is no event of this version or id to read.
	ErrEventNotFound = errors.New("event not found: check its stream and version, or its id")
	// ErrGap says that a stream has a hole and takes no append until it is filled. See GapError.
	ErrGap = errors.New("stream has a hole: fill it with Ingest first")
	// ErrTenantMismatch says that an event belongs to another tenant than its stream. See TenantMismatchError.
	ErrTenantMismatch = errors.New("tenant mismatch: a stream has one tenant, that of its first event")
	// ErrStreamMismatch says that an event was made for another stream. See StreamMismatchError.
	ErrStreamMismatch = errors.New("stream mismatch: an event stays in the stream it was made for")
	// ErrPartitionMismatch says that an event names another partition than its stream's. See PartitionMismatchError.
	ErrPartitionMismatch = errors.New("partition mismatch: a stream stays in the partition that it was created in")
	// ErrInvalidValue says that a value breaks the rule for its kind. See InvalidValueError.
	ErrInvalidValue = errors.New("invalid value")
	// ErrReconstruct says that the parts of a stream do not fit together. See ReconstructError.
	ErrReconstruct = errors.New("the parts of the stream do not fit together: load it again from the database")
	// ErrAppendOnly says that somebody tried to change or remove history.
	ErrAppendOnly = errors.New("history is append-only: append an event that corrects the old one")
	// ErrEventIDConflict says that an event id is taken by another event. See EventIDConflictError.
	ErrEventIDConflict = errors.New("event id conflict: give every new event an id of its own")
	// ErrPositionOrder says that events of one stream drew positions out of version order. Trying again is safe.
	ErrPositionOrder = errors.New("positions out of version order: try again, or append through the repository, which locks first")
	// ErrStoreMismatch says that the database is not the store that the repository was made for.
	ErrStoreMismatch = errors.New("store mismatch: check the connection string and the partition count")
	// ErrNotMigrated says that the schema eventstream is missing or older than this code.
	ErrNotMigrated = errors.New("schema is missing or too old: run the migrations")
	// ErrTxEnded says that an InlineProjection, or a handler of a subscription, ended the transaction that it was given: what it committed may come again.
	ErrTxEnded = errors.New("handler ended its transaction: leave COMMIT and ROLLBACK to the subscription")
	// ErrReadOnly says that the database takes no writes, as a standby does.
	ErrReadOnly = errors.New("database is read-only: connect to the primary")
	// ErrBeyondLog says that the log has not reached a position or sequence number. See BeyondLogError.
	ErrBeyondLog = errors.New("beyond the end of the log")
	// ErrDecisionConflict says that an event came that a decision should have known. See DecisionConflictError.
	ErrDecisionConflict = errors.New("decision conflict: read the query again and decide anew")
	// ErrUnreadableEvent matches an *UnreadableEventError.
	ErrUnreadableEvent = errors.New("event cannot be read: skip or park it, or restore it from a backup")
	// ErrCursorClosed says that a LogCursor was closed before.
	ErrCursorClosed = errors.New("log cursor is closed: open another one, from After the last event")
	// ErrSessionFormat says that the server writes values in a format that is not read. See SessionFormatError.
	ErrSessionFormat = errors.New("the session writes values in another format: set DateStyle to ISO and bytea_output to hex for the role, " +
		"or use a query mode with binary results")
)

// VersionConflictError says that somebody else appended since the writer looked, or that the writer's number was wrong.
type VersionConflictError struct {
	// StreamID is the stream that was to be appended to.
	StreamID StreamID
	// Expected is the version that the writer asked for.
	Expected int64
	// Actual is the version that the stream has; 0 if it has no events.
	Actual int64
	// Newer is what came after Expected, oldest first, as far as AppendRequest.Newer asked for it. Fewer than up to Actual if that was not
	// enough: read on behind the last one. Default: none.
	Newer []Event
}

// Error names the stream and both versions.
func (e *VersionConflictError) Error() string {
	return fmt.Sprintf("stream %s is at version %d, expected %d: load it again and decide anew, or append with Any",
		quote(string(e.StreamID)), e.Actual, e.Expected)
}

// Is matches ErrVersionConflict.
func (e *VersionConflictError) Is(target error) bool { return target == ErrVersionConflict }

// StreamExistsError says that a stream expected to be Empty has events.
type StreamExistsError struct {
	// StreamID is the stream that was to be created.
	StreamID StreamID
	// Actual is the version that the stream has.
	Actual int64
}

// Error names the stream and its version.
func (e *StreamExistsError) Error() string {
	return fmt.Sprintf("stream %s is at version %d, expected it to be empty: load it and decide anew, or append with Any",
		quote(string(e.StreamID)), e.Actual)
}

// Is matches ErrStreamExists, and ErrVersionConflict for callers who treat all expectations alike.
func (e *StreamExistsError) Is(target error) bool {
	return target == ErrStreamExists || target == ErrVersionConflict
}

// StreamMissingError says that a stream expected to exist has no events.
type StreamMissingError struct {
	// StreamID is the stream that was to be appended to.
	StreamID StreamID
}

// Error names the stream.
func (e *StreamMissingError) Error() string {
	return fmt.Sprintf("stream %s has no events, expected at least one: check its id, or create it by appending with Empty",
		quote(string(e.StreamID)))
}

// Is matches ErrStreamMissing, and ErrVersionConflict for callers who treat all expectations alike.
func (e *StreamMissingError) Is(target error) bool {
	return target == ErrStreamMissing || target == ErrVersionConflict
}

// StreamNotFoundError says that there is no stream of this id to read, archive or erase.
type StreamNotFoundError struct {
	// StreamID is the stream that was looked for.
	StreamID StreamID
}

// Error names the stream.
func (e *StreamNotFoundError) Error() string {
	return fmt.Sprintf("stream %s not found: check its id, or append to it to create it", quote(string(e.StreamID)))
}

// Is matches ErrStreamNotFound.
func (e *StreamNotFoundError) Is(target error) bool { return target == ErrStreamNotFound }

// GapError says that events of a stream are missing, while later ones arrived: nothing is appended past a hole.
type GapError struct {
	// StreamID is the stream with the hole.
	StreamID StreamID
	// FirstMissing is the first version that is not there.
	FirstMissing int64
	// CurrentVersion is the highest version that is known.
	CurrentVersion int64
}

// Error names the stream, the first missing version and the current one.
func (e *GapError) Error() string {
	return fmt.Sprintf("stream %s has a hole: version %d is missing, while versions up to %d arrived: fill it with Ingest first",
		quote(string(e.StreamID)), e.FirstMissing, e.CurrentVersion)
}

// Is matches ErrGap.
func (e *GapError) Is(target error) bool { return target == ErrGap }

// EventIDConflictError says that an event id is taken: an append that repeats an id must repeat the whole append.
type EventIDConflictError struct {
	// EventID is the id in question.
	EventID uuid.UUID
	// StreamID is the stream that was to be appended to.
	StreamID StreamID
	// FoundStreamID is the stream that holds the event; empty if it is the others of the append that exist already.
	FoundStreamID StreamID
	// FoundVersion is the version of that event in its stream; 0 if it is not there.
	FoundVersion int64
	// Problem says what differs, as "exists already, with other content".
	Problem string
}

// Error names the event, the stream it was for, and where it is.
func (e *EventIDConflictError) Error() string {
	found := ""
	if e.FoundStreamID != "" {
		found = fmt.Sprintf(" (version %d of %s)", e.FoundVersion, quote(string(e.FoundStreamID)))
	}
	event := "an event id"
	if e.EventID != uuid.Nil { // as where a constraint alone says it
		event = fmt.Sprintf("event %s of the append to stream %s", e.EventID, quote(string(e.StreamID)))
	}
	return fmt.Sprintf("%s %s%s: a retry repeats the same events in the same order, anything else needs event ids of its own",
		event, e.Problem, found)
}

// Is matches ErrEventIDConflict.
func (e *EventIDConflictError) Is(target error) bool { return target == ErrEventIDConflict }
