package eventstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
)

// LoadOnSnapshot is Load for a stream of which a snapshot may be kept: the snapshot and the events after it come in one round trip, and the
// stream has its version as base version. A snapshot that cannot be used (FoundSnapshot.Status says why) is ignored, and the stream is whole,
// as Load gives it. A damaged one costs a second round trip.
func (r *Repository) LoadOnSnapshot(ctx context.Context, id StreamID, kind SnapshotKind) (*EventStream, FoundSnapshot, error) {
	return r.LoadOnSnapshotBefore(ctx, id, kind, uuid.Nil)
}

// LoadOnSnapshotBefore is LoadOnSnapshot for who looks for an event by its id: if the stream has it, it is among the events that are loaded. A
// snapshot that was made after it is passed over (SnapshotPassedOver).
func (r *Repository) LoadOnSnapshotBefore(
	ctx context.Context, id StreamID, kind SnapshotKind, event uuid.UUID,
) (*EventStream, FoundSnapshot, error) {
	ctx, trace := r.startRead(ctx, OperationLoad, id)
	stream, found, err := r.loadOnSnapshot(ctx, id, kind, event)
	trace.loaded(stream, err)
	return stream, found, err
}

func (r *Repository) loadOnSnapshot(
	ctx context.Context, id StreamID, kind SnapshotKind, before uuid.UUID,
) (*EventStream, FoundSnapshot, error) {
	if err := errorsFirst(id.Validate(), kind.validate()); err != nil {
		return nil, FoundSnapshot{}, err
	}
	rows := rowsOn(r.handle)
	_, err := r.queries.SnapshotLoad(ctx, rows, db.SnapshotLoadParams{
		StreamID: string(id), Name: kind.Name, SchemaVersion: int32(kind.SchemaVersion), BeforeEvent: before,
	})
	if err != nil {
		return nil, FoundSnapshot{}, mapError(err)
	}
	loaded, err := rows.collectOnSnapshot()
	if err != nil {
		return nil, FoundSnapshot{}, mapError(r.nameUnreadable(ctx, r.handle, id, err))
	}
	if loaded.headless || loaded.found.Status == SnapshotDamaged {
		stream, err := r.loadWithout(ctx, id, loaded)
		return stream, FoundSnapshot{Status: loaded.found.Status}, err
	}
	stream, err := streamOnBase(loaded.found.Snapshot.Version, loaded.head, loaded.events)
	if loaded.found.Status == SnapshotUsed {
		loaded.found.Snapshot.Kind = kind
	}
	return stream, loaded.found, err
}

// loadWithout loads a stream that the rows of SnapshotLoad do not give: there were none, none for the beginning, or no state to put them on.
func (r *Repository) loadWithout(ctx context.Context, id StreamID, loaded *loadedOnSnapshot) (*EventStream, error) {
	if loaded.headless && len(loaded.events) == 0 {
		// As a rule there is no such stream, or all that arrived of it waits for its first event.
		head, err := r.stream(ctx, r.handle, id)
		if err != nil {
			return nil, err
		}
		if head.Watermark == 0 {
			return streamFromHead(head, nil)
		}
	}
	return r.load(ctx, id)
}

// SaveSnapshot keeps a snapshot, and says whether it did: a newer one is never overwritten, nor one of a newer schema version at the same
// version of the stream. It returns a *SnapshotContradictedError if the stream does not have the event that the snapshot was made at.
func (r *Repository) SaveSnapshot(ctx context.Context, s Snapshot) (saved bool, err error) {
	if err := s.validate(); err != nil {
		return false, err
	}
	state := s.State
	if state == nil {
		state = []byte{} // nil would be NULL
	}
	outcome, err := r.saveSnapshot(ctx, r.handle, db.SnapshotSaveParams{
		StreamID: string(s.StreamID), Name: s.Kind.Name, Version: s.Version, EventID: s.EventID,
		SchemaVersion: int32(s.Kind.SchemaVersion), State: state,
	})
	switch {
	case err != nil:
		return false, mapError(err)
	case outcome == "contradicted":
		return false, &SnapshotContradictedError{StreamID: s.StreamID, Name: s.Kind.Name, Version: s.Version, EventID: s.EventID}
	default:
		return outcome == "saved", nil
	}
}

// loadedOnSnapshot is what the rows of SnapshotLoad say.
type loadedOnSnapshot struct {
	head   StreamHead
	found  FoundSnapshot
	events []Event
	// headless says that the first row, which says where the stream stands, is not there.
	headless bool
}

// collectOnSnapshot reads the rows of SnapshotLoad. The first is the event that the snapshot was made at, which is not among the events, or
// the first event of all.
func (r *rowsOf) collectOnSnapshot() (*loadedOnSnapshot, error) {
	defer r.Rows.Close()
	loaded := &loadedOnSnapshot{headless: true}
	scanner := eventScanner{rows: r.Rows}
	for first := true; r.Rows.Next(); first = false {
		if first {
			if err := loaded.begin(&scanner); err != nil {
				return nil, err
			}
			continue
		}
		loaded.events = append(loaded.events, Event{})
		e := &loaded.events[len(loaded.events)-1]
		if err := scanner.scanBeside(e); err != nil {
			return nil, err
		}
	}
	if len(loaded.events) > 0 {
		loaded.head.follow(&loaded.events[len(loaded.events)-1])
	}
	return loaded, r.Rows.Err()
}

// scanBeside is scan for rows that have columns of the snapshot behind those of the event.
func (s *eventScanner) scanBeside(e *Event) error {
	if s.binary {
		return s.scan(e)
	}
	return s.scanWith(e, nil, nil, nil)
}

// begin reads the first row.
func (l *loadedOnSnapshot) begin(scanner *eventScanner) error {
	var e Event
	var numbers []int64
	var digest, state []byte
	if err := scanner.scanWith(&e, &numbers, &digest, &state); err != nil {
		return err
	}
	scanner.open()
	scanner.stream, scanner.tenant = e.StreamID, e.TenantID
	if numbers == nil {
		return nil
	}
	if len(numbers) != 8 {
		return fmt.Errorf("load_snapshot says %d numbers of stream %s, 8 are known", len(numbers), quote(string(e.StreamID)))
	}
	l.headless = false
	l.found = foundSnapshot(&e, numbers, digest, state)
	l.head = StreamHead{
		StreamID: e.StreamID, TenantID: e.TenantID, Partition: PartitionKey{ID: e.PartitionID, Count: int(numbers[7])},
		CreatedAt: time.UnixMicro(numbers[3]).UTC(), CurrentVersion: numbers[5], UpdatedAt: time.UnixMicro(numbers[6]).UTC(),
	}
	l.head.follow(&e)
	if base := numbers[0]; base == 0 {
		l.events = append(slices.Grow(l.events, int(min(numbers[4], MaxEventsPerCall))), e)
	} else {
		l.events = slices.Grow(l.events, int(min(numbers[4]-base, MaxEventsPerCall)))
	}
	return nil
}

// unused is why no snapshot was used, as load_snapshot numbers it.
var unused = [...]SnapshotStatus{SnapshotNone, SnapshotOtherSchema, SnapshotContradicted, SnapshotPassedOver}

// foundSnapshot is the snapshot beside the event that it was made at.
func foundSnapshot(e *Event, numbers []int64, digest, state []byte) FoundSnapshot {
	if base := numbers[0]; base == 0 {
		return FoundSnapshot{Status: unused[min(max(numbers[1], 0), int64(len(unused)-1))]}
	}
	if is := sha256.Sum256(state); !bytes.Equal(is[:], digest) {
		return FoundSnapshot{Status: SnapshotDamaged}
	}
	return FoundSnapshot{Status: SnapshotUsed, Snapshot: Snapshot{
		StreamID: e.StreamID, Version: e.Version, EventID: e.ID, State: state, CreatedAt: time.UnixMicro(numbers[2]).UTC(),
	}}
}
