package eventstream

import (
	"context"
	"iter"

	"github.com/google/uuid"
)

// Store is what code that only writes and reads events needs of a Repository, so that its tests can run without a database: package
// eventstreamtest has a store in memory, and tests that hold both to what is said here of Repository's methods. What such code uses less of, it
// had better declare itself; what it uses more of, a Repository alone can do.
type Store interface {
	// Append is Repository.Append.
	Append(ctx context.Context, id StreamID, expected Expected, events ...Event) (AppendResult, error)
	// AppendMany is Repository.AppendMany.
	AppendMany(ctx context.Context, requests ...AppendRequest) ([]AppendResult, error)
	// Load is Repository.Load.
	Load(ctx context.Context, id StreamID) (*EventStream, error)
	// GetOrCreate is Repository.GetOrCreate.
	GetOrCreate(ctx context.Context, id StreamID) (*EventStream, error)
	// Save is Repository.Save.
	Save(ctx context.Context, stream *EventStream) (AppendResult, error)
	// Read is Repository.Read.
	Read(ctx context.Context, id StreamID, opts ReadOptions) iter.Seq2[Event, error]
	// ReadLog is Repository.ReadLog.
	ReadLog(ctx context.Context, opts LogOptions) iter.Seq2[LogEvent, error]
	// Event is Repository.Event.
	Event(ctx context.Context, eventID uuid.UUID) (Event, error)
	// Stream is Repository.Stream.
	Stream(ctx context.Context, id StreamID) (StreamHead, error)
	// Streams is Repository.Streams.
	Streams(ctx context.Context, filter StreamFilter) iter.Seq2[StreamHead, error]
}

var _ Store = (*Repository)(nil)
