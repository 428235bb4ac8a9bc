package eventstream

import (
	"context"
	"encoding/json"
)

// Tracer is told of the appends of a Repository (Config.Tracer), so that telemetry is no part of this package; package otelgapless has one for
// OpenTelemetry. One that is also a MetadataTracer, a BatchTracer, a ReadTracer, an IntakeTracer, a subscription.HandlerTracer or a
// process.TimerTracer is told of those things too.
//
// What a Start returns is the context of what is begun, and is given to the End that belongs to it: it must be made from the one that Start
// got. Methods are called by whoever does the work, by several goroutines at once, and that waits for them. What they are given is
// lent until they return: they must not change it.
type Tracer interface {
	// TraceAppendStart is called by Append, Save, AppendMany and AppendIf before anything is sent.
	TraceAppendStart(ctx context.Context, start AppendStart) context.Context
	// TraceAppendEnd is called when they are done.
	TraceAppendEnd(ctx context.Context, end AppendEnd)
}

// AppendStart is what is to be appended, as the caller gave it.
type AppendStart struct {
	// Requests are those of the call, one for Append and Save.
	Requests []AppendRequest
}

// AppendEnd is what became of an append.
type AppendEnd struct {
	// Requests are those of the call, with what a MetadataTracer added, and Results what became of each; none if Err is set.
	Requests []AppendRequest
	Results  []AppendResult
	// Err is what the call returns.
	Err error
	// Batch is what TraceBatchStart returned for the statement that settled the append; nil if it did not go through the group, or if its caller
	// did not wait for it.
	Batch context.Context //nolint:containedctx // whose other end is elsewhere
}

// MetadataTracer is a Tracer that has something to say in the metadata of events, as where they come from.
type MetadataTracer interface {
	// TraceMetadata gives the metadata that an event is appended with, which are the event's own and more; ctx is that of TraceAppendStart. What is
	// no JSON object, or too large to be stored, is ignored. Metadata do not count when the store tells a Duplicate: those of the first time
	// stay.
	TraceMetadata(ctx context.Context, event Event) json.RawMessage
}

// BatchTracer is a Tracer that is told of the statements by which a group commits calls together (Config.Group).
type BatchTracer interface {
	// TraceBatchStart is called before a statement is sent, for one call by itself too. The context carries what that of the first call does.
	TraceBatchStart(ctx context.Context, start BatchStart) context.Context
	// TraceBatchEnd is called when it is done. After an error the same calls may be sent again, together or apart.
	TraceBatchEnd(ctx context.Context, end BatchEnd)
}

// BatchStart is what a statement of a group appends.
type BatchStart struct {
	// Calls are what TraceAppendStart returned for each call.
	Calls []context.Context
	// Events is how many events they append together.
	Events int
}

// BatchEnd is what became of a statement of a group.
type BatchEnd struct {
	// Err is what it failed with.
	Err error
}

// ReadTracer is a Tracer that is told of reading.
type ReadTracer interface {
	// TraceReadStart is called before something is read.
	TraceReadStart(ctx context.Context, start ReadStart) context.Context
	// TraceReadEnd is called when it was.
	TraceReadEnd(ctx context.Context, end ReadEnd)
}

// ReadOperation is a way to read.
type ReadOperation string

const (
	// OperationLoad is Load, GetOrCreate and LoadOnSnapshot.
	OperationLoad ReadOperation = "load"
	// OperationFold is Fold, with the time that its function takes.
	OperationFold ReadOperation = "fold"
	// OperationRead is one page of Read.
	OperationRead ReadOperation = "read"
	// OperationReadLog is one page of a LogCursor or of ReadLog: how long that is waited for, since it may be read ahead. What subscriptions
	// read for their handlers is not told.
	OperationReadLog ReadOperation = "read_log"
	// OperationReadQuery is ReadQuery and ReadQueryForUpdate.
	OperationReadQuery ReadOperation = "read_query"
)

// ReadStart is what is to be read.
type ReadStart struct {
	// Operation is the way, and StreamID the stream, where it is one.
	Operation ReadOperation
	StreamID  StreamID
}

// ReadEnd is what was read.
type ReadEnd struct {
	// Operation is the way.
	Operation ReadOperation
	// Events is how many events came.
	Events int
	// Err is what the call returns, or the loop gets.
	Err error
}

// IntakeTracer is a Tracer that is told of events that come from elsewhere: of each call of Ingest and Import.
type IntakeTracer interface {
	// TraceIntakeStart is called before anything is sent.
	TraceIntakeStart(ctx context.Context, start IntakeStart) context.Context
	// TraceIntakeEnd is called when the call is done.
	TraceIntakeEnd(ctx context.Context, end IntakeEnd)
}

// IntakeOperation is a way in which events come from elsewhere.
type IntakeOperation string

const (
	// OperationIngest is Ingest.
	OperationIngest IntakeOperation = "ingest"
	// OperationImport is Import, from the first event of its source to the last.
	OperationImport IntakeOperation = "import"
)

// IntakeStart is what is to be taken.
type IntakeStart struct {
	// Operation is the way, and StreamID the stream of an Ingest.
	Operation IntakeOperation
	StreamID  StreamID
}

// IntakeEnd is what became of it.
type IntakeEnd struct {
	// Operation is the way.
	Operation IntakeOperation
	// Appended is how many events entered their streams, Pending how many of the call wait for a version before them, and Duplicates how many
	// of it were there already. Of an Import that failed they tell what was committed before.
	Appended, Pending, Duplicates int64
	// Err is what the call returns.
	Err error
}
