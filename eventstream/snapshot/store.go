package snapshot

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Store loads streams with the state that their events lead to, on top of snapshots, which it has made when they are due. It is safe for
// use by several goroutines as far as its repository is. On a repository that is on a pool, snapshots are made in the background, one at a
// time, by a goroutine that ends when nothing is left to do. On a connection, or in a transaction that did not come from WithTx, nothing
// can be done in the background: snapshots are used, and made by Rebuild alone.
type Store[S any] struct {
	repo   *eventstream.Repository
	config Config[S]
	// work is nil where nothing can be done in the background.
	work *background
	inTx bool
}

// New returns a store, or an *eventstream.InvalidValueError that names the field of the config that is out of bounds. It does not talk to the
// database. Make one for a process and a name, and Close it.
func New[S any](repo *eventstream.Repository, config Config[S]) (*Store[S], error) {
	if repo == nil {
		return nil, invalid.Value("snapshot repository", "nil", "made by eventstream.NewRepository")
	}
	complete, err := config.complete()
	if err != nil {
		return nil, err
	}
	s := &Store[S]{repo: repo, config: complete}
	if isOnPool(repo) {
		s.work = newBackground(complete.QueueSize, complete.Timeout, s.refresh)
	}
	return s, nil
}

// isOnPool says that a repository may be used by several goroutines at once: it is on a pool, and not in a transaction.
func isOnPool(repo *eventstream.Repository) bool {
	_, pool := access.Of[eventstream.LogEvent, eventstream.LogFilter, eventstream.Start](repo).Handle().(*pgxpool.Pool)
	return pool
}

// WithTx returns the same store in a transaction of the caller: what it loads and saves is part of that. Snapshots are made outside of it, of
// what is committed: a Load that finds one due has it made, a Save does not.
func (s *Store[S]) WithTx(tx pgx.Tx) *Store[S] {
	inTx := *s
	inTx.repo, inTx.inTx = s.repo.WithTx(tx), true
	return &inTx
}

// IsOf reports whether the store is of a repository: on the same pool, and for the same tenant. decider.WithSnapshots asks it, since the states
// of one tenant must not be decided on for another.
func (s *Store[S]) IsOf(repo *eventstream.Repository) bool {
	own := access.Of[eventstream.LogEvent, eventstream.LogFilter, eventstream.Start](s.repo)
	other := access.Of[eventstream.LogEvent, eventstream.LogFilter, eventstream.Start](repo)
	return own.Pool() == other.Pool() && own.Tenant() == other.Tenant()
}

// Flush waits until no snapshot is to be made any more, or the context ends, and returns the context's error then.
func (s *Store[S]) Flush(ctx context.Context) error {
	if s.work == nil {
		return nil
	}
	return s.work.flush(ctx)
}

// Close has no more snapshots made, and waits for those under way until the context ends: then it breaks them off and returns the
// context's error. Loading and saving go on to work. Calling it again is allowed.
func (s *Store[S]) Close(ctx context.Context) error {
	if s.work == nil {
		return nil
	}
	return s.work.close(ctx)
}

// Loaded is a stream with its state.
type Loaded[S any] struct {
	// State is what the events up to the stream's version make. Append to Stream, not to it.
	State S
	// Stream has the events after the snapshot. New events are appended to it by AppendEvent, and saved by Store.Save.
	Stream *eventstream.EventStream
	// Snapshot says whether a snapshot was used, and if not, why.
	Snapshot eventstream.SnapshotStatus
	// version is that of State, and asked that of the stream when its snapshot was asked for last.
	version, asked int64
}

// Load loads a stream with its state: the snapshot and the events after it in one round trip. It returns what Repository.Load returns for a
// stream that is not there or cannot be read, and an *EvolveError if Evolve refuses an event.
//
// A snapshot is never believed against the events. Where it cannot be used, all events are read and the state is made of them: of another
// schema version or contradicted by the events, in the same round trip; damaged, not decoded, or of a kind that Evolve fails on, in a
// second one.
func (s *Store[S]) Load(ctx context.Context, id eventstream.StreamID) (*Loaded[S], error) {
	return s.loadBefore(ctx, id, uuid.Nil)
}

// loadBefore is Load with an event that is to be among those that are loaded, if the stream has it.
func (s *Store[S]) loadBefore(ctx context.Context, id eventstream.StreamID, before uuid.UUID) (*Loaded[S], error) {
	loaded, err := s.load(ctx, id, before)
	if err == nil && s.config.Policy.onRead() {
		s.ask(loaded)
	}
	return loaded, err
}

// LoadOrNew is Load, but for a stream that is not there it returns an empty one in its initial state. Nothing is written.
func (s *Store[S]) LoadOrNew(ctx context.Context, id eventstream.StreamID) (*Loaded[S], error) {
	loaded, err := s.Load(ctx, id)
	if errors.Is(err, eventstream.ErrStreamNotFound) {
		return &Loaded[S]{State: s.config.Initial(), Stream: eventstream.New(id)}, nil
	}
	return loaded, err
}

// Save appends the new events of a loaded stream, as Repository.Save does with the same errors, and moves its state over them. After a
// *eventstream.VersionConflictError load again and decide anew; after a lost connection the same Save may be repeated. An *EvolveError says
// that the events are saved and the state is not to be used any more.
//
// Evolve gets these events as they were appended: without their positions, and with RecordedAt by the clock of this process. No snapshot is
// made of that: it is made of the events as they are stored.
func (s *Store[S]) Save(ctx context.Context, loaded *Loaded[S]) (eventstream.AppendResult, error) {
	if loaded == nil || loaded.Stream == nil {
		return eventstream.AppendResult{}, invalid.Value("loaded", "nil", "what Load or LoadOrNew returned")
	}
	result, err := s.repo.Save(ctx, loaded.Stream)
	if err != nil {
		return result, err
	}
	state, err := s.fold(loaded.State, loaded.Stream.EventsFrom(loaded.version+1))
	if err != nil {
		return result, err
	}
	loaded.State, loaded.version = state, loaded.Stream.CurrentVersion()
	if s.config.Policy.onWrite() && !s.inTx {
		s.ask(loaded)
	}
	return result, nil
}

// load is Load without having a snapshot made.
func (s *Store[S]) load(ctx context.Context, id eventstream.StreamID, before uuid.UUID) (*Loaded[S], error) {
	stream, found, err := s.repo.LoadOnSnapshotBefore(ctx, id, s.kind(), before)
	if err != nil {
		return nil, err
	}
	loaded := &Loaded[S]{Stream: stream, Snapshot: found.Status, version: stream.Watermark()}
	var why error
	if found.Status == eventstream.SnapshotUsed {
		if loaded.State, why = s.resume(found.Snapshot.State, stream); why == nil {
			return loaded, nil
		}
		if loaded.Stream, err = s.repo.Load(ctx, id); err != nil {
			return nil, err
		}
		loaded.Snapshot, loaded.version = eventstream.SnapshotDamaged, loaded.Stream.Watermark()
	}
	loaded.State, err = s.fold(s.config.Initial(), loaded.Stream.EventsFrom(1))
	if err != nil {
		return nil, err
	}
	if loaded.Snapshot != eventstream.SnapshotNone && loaded.Snapshot != eventstream.SnapshotPassedOver {
		s.tell(Notice{Kind: Ignored, StreamID: id, Version: found.Snapshot.Version, Status: loaded.Snapshot, Err: why})
	}
	return loaded, nil
}

// resume makes a state of a snapshot and the events after it. A panic is an error here: a state of an older form may have a nil map where
// Evolve expects one, and then all events are to be read, as for any other snapshot that is of no use.
func (s *Store[S]) resume(data []byte, stream *eventstream.EventStream) (state S, err error) {
	defer recovered(&err)
	if state, err = s.config.Codec.Decode(data); err != nil {
		return state, fmt.Errorf("decode: %w", err)
	}
	return s.fold(state, stream.EventsFrom(stream.BaseVersion()+1))
}

func (s *Store[S]) fold(state S, events []eventstream.Event) (S, error) {
	for i := range events {
		next, err := s.config.Evolve(state, events[i])
		if err != nil {
			return state, &EvolveError{Event: events[i], Err: err}
		}
		state = next
	}
	return state, nil
}

func (s *Store[S]) kind() eventstream.SnapshotKind {
	return eventstream.SnapshotKind{Name: s.config.Name, SchemaVersion: s.config.SchemaVersion}
}

// recovered turns a panic of the user's code into an error.
func recovered(err *error) {
	if value := recover(); value != nil {
		*err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
	}
}
