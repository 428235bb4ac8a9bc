package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Rebuild makes the snapshot of a stream from all of its events and keeps it, before it returns, whatever the policy says. It says whether
// the snapshot was kept: a newer one is not overwritten. After a correction of Evolve without a new SchemaVersion, it is what
// replaces what the old one made.
func (s *Store[S]) Rebuild(ctx context.Context, id eventstream.StreamID) (saved bool, err error) {
	stream, err := s.repo.Load(ctx, id)
	if err != nil || stream.Watermark() == 0 {
		return false, err
	}
	started := time.Now()
	state, err := s.fold(s.config.Initial(), stream.EventsFrom(1))
	if err != nil {
		return false, err
	}
	return s.keep(ctx, &Loaded[S]{State: state, Stream: stream}, started)
}

// refresh makes the snapshot of a stream in the background, if it is still due. It reads what is stored, rather than take over the state of
// the call that found it due: that one is the caller's, who may change it, and may hold events that are not committed.
func (s *Store[S]) refresh(ctx context.Context, id eventstream.StreamID) (err error) {
	started := time.Now()
	defer func() {
		if err != nil {
			s.tell(Notice{Kind: Failed, StreamID: id, Took: time.Since(started), Err: err})
		}
	}()
	defer recovered(&err)
	loaded, err := s.load(ctx, id, uuid.Nil)
	if err != nil || !s.config.Policy.due(loaded.Stream, loaded.Snapshot) {
		return err
	}
	saved, err := s.keep(ctx, loaded, started)
	if err == nil && !saved && loaded.Snapshot == eventstream.SnapshotOtherSchema {
		// Code of a newer release makes them too. Reading all of the stream for each try would be of no use.
		return errOtherRelease
	}
	return err
}

// errOtherRelease says that there will be no snapshot of this store's form as long as another one is newer.
var errOtherRelease = errors.New("a snapshot of a newer schema version is there: the streams are read whole until all processes are of one release")

// keep writes the state of a stream down.
func (s *Store[S]) keep(ctx context.Context, loaded *Loaded[S], started time.Time) (saved bool, err error) {
	stream := loaded.Stream
	at := stream.EventsFrom(stream.Watermark())
	if len(at) == 0 {
		return false, nil // nothing came after the snapshot
	}
	state, err := s.encode(loaded.State)
	if err != nil {
		return false, err
	}
	saved, err = s.repo.SaveSnapshot(ctx, eventstream.Snapshot{
		StreamID: stream.StreamID(), Kind: s.kind(), Version: at[0].Version, EventID: at[0].ID, State: state,
	})
	if err != nil {
		return false, err
	}
	notice := Notice{Kind: Saved, StreamID: stream.StreamID(), Version: at[0].Version, Bytes: len(state), Took: time.Since(started)}
	if !saved {
		notice.Kind = Superseded
	}
	s.tell(notice)
	return saved, nil
}

func (s *Store[S]) encode(state S) (data []byte, err error) {
	defer recovered(&err)
	if data, err = s.config.Codec.Encode(state); err != nil {
		return nil, fmt.Errorf("encode the state: %w", err)
	}
	return data, nil
}

// ask has the snapshot of a stream made if it is due, and not asked for already, unless too much waits.
func (s *Store[S]) ask(loaded *Loaded[S]) {
	at := loaded.Stream.Watermark()
	if s.work == nil || !s.config.Policy.due(loaded.Stream, loaded.Snapshot) ||
		loaded.asked > 0 && at-loaded.asked < int64(s.config.Policy.Every) {
		return
	}
	loaded.asked = at
	if id := loaded.Stream.StreamID(); !s.work.add(id) {
		s.tell(Notice{Kind: Dropped, StreamID: id})
	}
}
