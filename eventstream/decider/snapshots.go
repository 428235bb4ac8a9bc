package decider

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/unset"
)

// Snapshots gives Handle the state of a stream without all of its events. A *snapshot.Store is one.
type Snapshots[State any] interface {
	// Resume returns the state of a stream, which nobody else has, and the stream with the events after the snapshot that the state was made on;
	// the initial state and an empty stream for one that is not there. Where the stream has the event of an id, that must be among its events.
	Resume(ctx context.Context, id eventstream.StreamID, event uuid.UUID) (State, *eventstream.EventStream, error)
	// Appended is told at which version the stream is by now, after a command that was carried out.
	Appended(stream *eventstream.EventStream, version int64)
}

// WithSnapshots has Handle begin with the state that snapshots give, so that it reads what came after it and not all of a long stream, in as many
// round trips. The Evolve and Initial of the snapshots must be those of the decider, and they must be of the repository that Handle is
// given: in a transaction, store.WithTx(tx); those of another pool or tenant are refused. It is for decisions about one stream. Default: none.
//
// An event that the Evolve of the snapshots refuses is an error of theirs (*snapshot.EvolveError), and one that comes later a *EvolveError.
//
// A command that was carried out before the snapshot (WithCommandID) is found as without: its events are then read with all others. Where no
// snapshot can be used the stream is held in memory, and so are the events after one.
func WithSnapshots[State any](snapshots Snapshots[State]) Option {
	return func(o *options) error {
		if unset.IsNil(snapshots) {
			return invalid.Value("WithSnapshots", "nil", "a *snapshot.Store, or what does the same")
		}
		o.snapshots = snapshots
		return nil
	}
}

// snapshotsOf are those of the options, if they fit what is handled.
func snapshotsOf[State any](o options, store Store, streams int) (Snapshots[State], error) {
	if o.snapshots == nil {
		return nil, nil
	}
	snapshots, ok := o.snapshots.(Snapshots[State])
	repo, isRepository := store.(*eventstream.Repository)
	owned, isOwned := o.snapshots.(interface {
		IsOf(repo *eventstream.Repository) bool
	})
	switch {
	case isRepository && repo != nil && isOwned && !owned.IsOf(repo):
		return nil, invalid.Value("WithSnapshots", "of another repository", "of the one that Handle is given: on its pool, and for its tenant")
	case !ok:
		return nil, invalid.Value("WithSnapshots", "of another state", "of the State of the decider")
	case streams != 1:
		return nil, invalid.Value("WithSnapshots", "a decision over "+strconv.Itoa(streams)+" streams",
			"left out of HandleAcross, which reads all events of its streams: a snapshot is the state of one stream, for Handle")
	}
	return snapshots, nil
}

// begin brings the state to where the streams are.
func (h *handling[Command, State]) begin(ctx context.Context) error {
	if h.snapshots == nil {
		return h.readOn(ctx, h.streams)
	}
	s := h.streams[0]
	state, stream, err := h.snapshots.Resume(ctx, s.id, s.next)
	if err != nil {
		return err
	}
	h.state, h.resumed, s.version = state, stream, stream.BaseVersion()
	for _, e := range stream.EventsFrom(stream.BaseVersion() + 1) {
		if err := s.see(e); err != nil {
			return err
		}
	}
	return nil
}

// tellAppended lets the snapshots know of what was written.
func (h *handling[Command, State]) tellAppended() {
	if h.resumed != nil && len(h.appended) > 0 {
		h.snapshots.Appended(h.resumed, h.appended[len(h.appended)-1].Version)
	}
}
