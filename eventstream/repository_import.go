package eventstream

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/gaplesspg/gapless/internal/importplan"
	"github.com/gaplesspg/gapless/internal/isolation"
)

const (
	// MaxImportEvents is how many events a chunk of an Import holds at most.
	MaxImportEvents = 10_000
	// MaxImportBytes is how much payload, data and metadata an Import holds: half of it fills a chunk, while the one before is written. The
	// event that reaches the half is its chunk's last.
	MaxImportBytes = 16 << 20
)

// ImportResult says how far an Import came. It counts what is committed, and is valid beside an error too.
type ImportResult struct {
	// Imported is how many events the call wrote.
	Imported int64
	// Skipped is how many events of the source were there already.
	Skipped int64
	// LastPosition is the position of the last event that the call wrote; 0 if it wrote none.
	LastPosition int64
}

// Import copies events of any number of streams into the store, in the order of the source, in bounded memory: in chunks of
// MaxImportEvents events or half of MaxImportBytes, each of which commits separately. What exists already is skipped, so
// after a failure of any kind the same source, imported again, brings the rest. On a pool, the source is read on while a chunk is
// written; on a connection it is not, and may use that connection itself.
//
// An event needs its StreamID and whatever Validate demands. Its id, type, content and OccurredAt are kept. Position,
// PartitionID and RecordedAt are not: the database gives them, since RecordedAt says when this store took the event.
//
// With a Version, an event must be the next of its stream, or be there with the same id. Without one it becomes the next, unless
// its id is in the stream already. An event without a TenantID gets that of its stream, or DefaultTenant in a new one.
//
// An event that does not fit ends the import with an *ImportError, whose cause is a *GapError for a version that leaves a hole
// and for a stream that has one, an *IngestConflictError for another event at that version, an *EventIDConflictError for an id
// that names another event, a *TenantMismatchError or an *InvalidValueError. An error of the source ends it too, and is wrapped, as
// does the end of the context. The chunk in hand is then not written, those before it stay.
//
// What the source yields must not change before its chunk is written: a source that reuses buffers has to copy. The repository's
// handle must be a pool, or a connection outside a transaction. With Config.Inline it is refused: rebuild the projections after
// an Import by a repository without.
//
// With KeepPartitions among the options, a new stream is created in the PartitionID of its first event.
func (r *Repository) Import(ctx context.Context, events iter.Seq2[Event, error], options ...ImportOption) (ImportResult, error) {
	ctx, end := r.startIntake(ctx, OperationImport, "")
	result, err := r.importEvents(ctx, events, options)
	end(IntakeEnd{Appended: result.Imported, Duplicates: result.Skipped, Err: err})
	return result, err
}

func (r *Repository) importEvents(ctx context.Context, events iter.Seq2[Event, error], options []ImportOption) (ImportResult, error) {
	if events == nil {
		return ImportResult{}, invalidValue("events", "nil", "a sequence of events")
	}
	run, err := r.newImport(ctx)
	if err != nil {
		return ImportResult{}, err
	}
	run.rules.KeepPartitions = slices.Contains(options, KeepPartitions)
	err = run.takeAll(ctx, events)
	return run.result, err
}

// ImportOption changes what an Import makes of events.
type ImportOption int

// KeepPartitions places each new stream in the PartitionID of its first event, as for a copy of a store whose streams were placed by hand.
// One that the store does not have is an *InvalidValueError, and one that is not that of the stream a *PartitionMismatchError.
const KeepPartitions ImportOption = 1

// importRun is one call of Import.
type importRun struct {
	repo   *Repository
	handle isolation.Beginner
	rules  importplan.Rules
	// filling takes the events of the source. written is another chunk while writing is not nil, which gives what came of it.
	filling, written *importChunk
	writing          chan error
	// ahead says that the source is read on while a chunk is written.
	ahead  bool
	result ImportResult
}

// importChunk is a part of the source that is written in one transaction.
type importChunk struct {
	*importplan.Chunk
	run *importRun
	// before is how many events of the source come before it.
	before int64
	// position is that of its last event, once it is written; 0 if it brought none.
	position int64
}

func (r *Repository) newImport(ctx context.Context) (*importRun, error) {
	if err := r.forAllTenants("an Import"); err != nil {
		return nil, err
	}
	if len(r.config.Inline) > 0 {
		return nil, invalidValue("Config.Inline", "set",
			"empty for an Import, which does not call them: import by a repository without, and rebuild the projections after it")
	}
	handle, ok := isolation.AloneOn(r.handle)
	if !ok {
		return nil, invalidValue("handle", "a transaction",
			"a *pgxpool.Pool, or a *pgx.Conn outside a transaction: an Import commits each chunk")
	}
	partitions, err := r.partitionCount(ctx, r.handle)
	if err != nil {
		return nil, err
	}
	run := &importRun{
		repo: r, handle: handle, ahead: r.onPool(r.handle),
		rules: importplan.Rules{DefaultTenant: string(DefaultTenant), Partitions: partitions},
	}
	run.filling, run.written = run.newChunk(), run.newChunk()
	return run, nil
}

func (i *importRun) newChunk() *importChunk {
	return &importChunk{Chunk: importplan.NewChunk(MaxImportEvents, MaxImportBytes/2), run: i}
}

func (i *importRun) takeAll(ctx context.Context, events iter.Seq2[Event, error]) (err error) {
	defer func() { err = errorsFirst(i.await(), err) }()
	for event, err := range events {
		if err != nil {
			return fmt.Errorf("import: the source failed after %d events: %w", i.filling.before+int64(i.filling.Len()), err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("import: %w", err)
		}
		if err := i.take(ctx, event); err != nil {
			return err
		}
	}
	return i.flush(ctx)
}

func (i *importRun) take(ctx context.Context, event Event) error {
	planned := planned(&event)
	if err := checkImported(&event); err != nil {
		return i.filling.refused(i.filling.Len(), &planned, err)
	}
	select {
	case err := <-i.writing: // a source may take its time
		if err := i.settle(err); err != nil {
			return err
		}
	default:
	}
	i.filling.Add(planned)
	if !i.filling.Full() {
		return nil
	}
	return i.flush(ctx)
}

func checkImported(e *Event) error {
	if e.StreamID == "" {
		return e.StreamID.Validate()
	}
	return e.Validate()
}

// planned is an event as a chunk holds it.
func planned(e *Event) importplan.Event {
	return importplan.Event{
		ID: e.ID, Stream: string(e.StreamID), Version: e.Version, Tenant: string(e.TenantID), Partition: e.PartitionID,
		Type: string(e.Type), OccurredAt: e.OccurredAt, Payload: e.Payload, Data: e.Data, Metadata: e.Metadata,
	}
}

// refused names the event at a place of the chunk.
func (c *importChunk) refused(at int, e *importplan.Event, err error) error {
	return &ImportError{Index: c.before + int64(at), StreamID: StreamID(e.Stream), Version: e.Version, EventID: e.ID, Err: err}
}

// flush has the chunk that is filled written, once the one before it is, and makes room for the next.
func (i *importRun) flush(ctx context.Context) error {
	if err := i.await(); err != nil || i.filling.Len() == 0 {
		return err
	}
	chunk, writing := i.filling, make(chan error, 1)
	i.filling, i.written, i.writing = i.written, chunk, writing
	i.filling.before = chunk.before + int64(chunk.Len())
	go func() { writing <- chunk.write(ctx) }()
	if i.ahead {
		return nil
	}
	return i.await()
}

// await waits for the chunk that is written, if one is.
func (i *importRun) await() error {
	if i.writing == nil {
		return nil
	}
	return i.settle(<-i.writing)
}

// settle counts the chunk that was written, unless that failed.
func (i *importRun) settle(err error) error {
	i.writing = nil
	if err != nil {
		return err
	}
	chunk := i.written
	i.result.Imported += int64(chunk.Rows())
	i.result.Skipped += int64(chunk.Len() - chunk.Rows())
	if chunk.position > 0 {
		i.result.LastPosition = chunk.position
	}
	chunk.Reset()
	return nil
}
