package eventstream

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/internal/shown"
)

// InvalidValueError says that a value breaks the rule for its kind.
type InvalidValueError struct {
	// Field names what was given, as the database does: stream_id, tenant_id, event_type, payload.
	Field string
	// Value is what was given, shortened to 64 bytes.
	Value string
	// Rule is what it must be.
	Rule string
}

func invalidValue(field, value, rule string) *InvalidValueError {
	return &InvalidValueError{Field: field, Value: shown.Short(value), Rule: rule}
}

// Error names the field, the value and the rule.
func (e *InvalidValueError) Error() string {
	return fmt.Sprintf("invalid %s %s: must be %s", e.Field, quote(e.Value), e.Rule)
}

// Is matches ErrInvalidValue.
func (e *InvalidValueError) Is(target error) bool { return target == ErrInvalidValue }

// TenantMismatchError says that an event belongs to another tenant than its stream, or to none where one must be named.
type TenantMismatchError struct {
	// StreamID is the stream that was to be appended to.
	StreamID StreamID
	// StreamTenant is the stream's tenant; empty while the stream has no events, and in a repository for a tenant if another one uses the id.
	StreamTenant TenantID
	// EventTenant is the event's tenant; empty if it names none.
	EventTenant TenantID
}

// Error names the stream and both tenants.
func (e *TenantMismatchError) Error() string {
	if e.StreamTenant == "" && e.EventTenant != "" {
		return fmt.Sprintf("stream id %s cannot be used by %s: choose another one", quote(string(e.StreamID)), tenantWords(e.EventTenant))
	}
	return fmt.Sprintf("stream %s belongs to %s, the event to %s: append with the stream's tenant, or to another stream",
		quote(string(e.StreamID)), tenantWords(e.StreamTenant), tenantWords(e.EventTenant))
}

// Is matches ErrTenantMismatch.
func (e *TenantMismatchError) Is(target error) bool { return target == ErrTenantMismatch }

func tenantWords(id TenantID) string {
	if id == "" {
		return "no tenant"
	}
	return "tenant " + quote(string(id))
}

// StreamMismatchError says that an event was made for another stream.
type StreamMismatchError struct {
	// StreamID is the stream that was to be appended to.
	StreamID StreamID
	// EventStreamID is the stream that the event names.
	EventStreamID StreamID
}

// Error names both streams.
func (e *StreamMismatchError) Error() string {
	return fmt.Sprintf("event of stream %s cannot be appended to stream %s: make a new event with NewEvent",
		quote(string(e.EventStreamID)), quote(string(e.StreamID)))
}

// Is matches ErrStreamMismatch.
func (e *StreamMismatchError) Is(target error) bool { return target == ErrStreamMismatch }

// PartitionMismatchError says that an event names another partition than its stream's.
type PartitionMismatchError struct {
	// StreamID is the stream that was to be appended to.
	StreamID StreamID
	// StreamPartition is the partition that the stream was created in.
	StreamPartition int
	// EventPartition is the one that was asked for.
	EventPartition int
}

// Error names the stream and both partitions.
func (e *PartitionMismatchError) Error() string {
	return fmt.Sprintf("stream %s is in partition %d, the event in partition %d: give the stream's partition, or none",
		quote(string(e.StreamID)), e.StreamPartition, e.EventPartition)
}

// Is matches ErrPartitionMismatch.
func (e *PartitionMismatchError) Is(target error) bool { return target == ErrPartitionMismatch }

// ReconstructError says which rule the parts of a stream break. Reconstruct, ReconstructFrom and the JSON decoding of an
// EventStream return it.
type ReconstructError struct {
	// StreamID is the stream that was to be put together.
	StreamID StreamID
	// Rule is what must hold, in words.
	Rule string
	// Got is the value that breaks it.
	Got string
	// Bound is the value that it is held against.
	Bound string

	cause error
}

// Error names the stream, the rule and both values.
func (e *ReconstructError) Error() string {
	return fmt.Sprintf("stream %s: %s: got %s, against %s: load it again from the database",
		quote(string(e.StreamID)), e.Rule, e.Got, e.Bound)
}

// Is matches ErrReconstruct.
func (e *ReconstructError) Is(target error) bool { return target == ErrReconstruct }

// Unwrap returns the *InvalidValueError behind a part that is itself invalid, else nil.
func (e *ReconstructError) Unwrap() error { return e.cause }

// quote makes a value safe to print: on one line, escaped, and short.
func quote(s string) string { return shown.Quote(s) }

// fieldEvent is the field of a BeyondLogError about an event that was read.
const fieldEvent = "event"

// BeyondLogError says that the log has not reached a position or sequence number, so that it comes from elsewhere.
type BeyondLogError struct {
	// Field is what is beyond the end: position, sequence, sequence of partition n; or event, for one that was read and that the log does
	// not hold any more.
	Field string
	// Value is what was asked for.
	Value int64
	// Last is where the log ends.
	Last int64
}

// Error says which value, and where the log ends.
func (e *BeyondLogError) Error() string {
	if e.Field == fieldEvent {
		return fmt.Sprintf("the log, which is at %d, does not hold the event that was read at position %d: it went back since, by a failover or a "+
			"restore, or is another; go on behind an event that it holds, or from the beginning", e.Last, e.Value)
	}
	return fmt.Sprintf("%s %d is beyond the end of the log, which is at %d: a value from another database does not fit this one",
		e.Field, e.Value, e.Last)
}

// Is matches ErrBeyondLog.
func (e *BeyondLogError) Is(target error) bool { return target == ErrBeyondLog }

// SessionFormatError says that a value came in a format that is not read. With pgx.QueryExecModeExec and pgx.QueryExecModeSimpleProtocol
// values come as text, as DateStyle and bytea_output have the server write it; the other modes depend on neither.
type SessionFormatError struct {
	// Column is the column of the result.
	Column string
	// Err says what could not be read.
	Err error
}

// Error names the column, and says what to set.
func (e *SessionFormatError) Error() string {
	return fmt.Sprintf("column %s cannot be read: %v. In the query modes exec and simple protocol values come as text, and are read as written "+
		"with DateStyle ISO and bytea_output hex: set both for the role or the connection, or use another query mode", e.Column, e.Err)
}

// Is matches ErrSessionFormat.
func (e *SessionFormatError) Is(target error) bool { return target == ErrSessionFormat }

// Unwrap gives the error of the value.
func (e *SessionFormatError) Unwrap() error { return e.Err }

// unreadable names the column of a value that could not be read. It is for what this package reads: an error of the user's code, which reads
// other things, stays what it is.
func unreadable(err error) error {
	var scan pgx.ScanArgError
	if !errors.As(err, &scan) {
		return err
	}
	return &SessionFormatError{Column: scan.FieldName, Err: err}
}
