package snapshot

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Resume is LoadOrNew for decider.WithSnapshots: the state of a stream, and the stream with the events after the snapshot, in one round trip.
// Where the stream has the event of an id, that is among them: a snapshot made after it is passed over. uuid.Nil looks for none.
func (s *Store[S]) Resume(ctx context.Context, id eventstream.StreamID, event uuid.UUID) (S, *eventstream.EventStream, error) {
	loaded, err := s.loadBefore(ctx, id, event)
	if errors.Is(err, eventstream.ErrStreamNotFound) {
		return s.config.Initial(), eventstream.New(id), nil
	}
	if err != nil {
		var none S
		return none, nil, err
	}
	return loaded.State, loaded.Stream, nil
}

// Appended says at which version the stream is that Resume gave, after an append that was not made by Save: a snapshot that this makes due is
// made in the background, as after a Save.
func (s *Store[S]) Appended(stream *eventstream.EventStream, version int64) {
	if s.work == nil || s.inTx || !s.config.Policy.onWrite() || version-stream.BaseVersion() < int64(s.config.Policy.Every) {
		return
	}
	if id := stream.StreamID(); !s.work.add(id) {
		s.tell(Notice{Kind: Dropped, StreamID: id})
	}
}
