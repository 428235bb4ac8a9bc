package decider

import (
	"context"
	"iter"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/unset"
)

// Decider is the rules of one kind of thing, without I/O: how its state follows from its events, and which new events follow from a command.
// The functions may be called by several goroutines at once, and again for one command: they should do nothing but compute.
type Decider[Command, State any] struct {
	// Initial makes the state of a stream without events, a new one each time where State holds maps or pointers. Default: nil, which is the
	// zero State.
	Initial func() State
	// Decide returns the events that follow from a command in a state, in their order; none, if nothing is to happen; or an error, if the
	// command cannot be done, which Handle returns as it is. It must not change the state. Of each event eventstream.EventOf sets what is
	// needed; StreamID may stay empty where one stream is decided about. Required.
	Decide func(Command, State) ([]eventstream.Event, error)
	// Evolve returns the state after an event. It may change the state that it is given and return that. An event of a type that it does not
	// know should leave the state as it is, or be an error, which ends Handle. An event that Handle has just appended has no Position and
	// RecordedAt yet. Required.
	Evolve func(State, eventstream.Event) (State, error)
}

// Store is what Handle needs of a store: a *eventstream.Repository, also one in a transaction. If it has the method Fold of the Repository,
// that is used in place of Read, and takes one round trip for a stream of any length. Of Newer in a request it may take no notice.
type Store interface {
	// Read goes through the events of a stream.
	Read(ctx context.Context, id eventstream.StreamID, opts eventstream.ReadOptions) iter.Seq2[eventstream.Event, error]
	// AppendMany appends to streams, all or nothing.
	AppendMany(ctx context.Context, requests ...eventstream.AppendRequest) ([]eventstream.AppendResult, error)
}

// Result is what became of a command.
type Result[State any] struct {
	// State is that of the streams after the command, as far as they were read: after a Duplicate, with what others have appended since. After
	// an error of Decide it is the state that was decided in.
	State State
	// Events are what was appended for the command, with their streams and versions; none, if Decide returned none. Those of a Duplicate are
	// the events as they were stored the first time.
	Events []eventstream.Event
	// Position is that of the last of Events in the log, for Subscription.WaitFor; 0 if there are none.
	Position int64
	// Tries is how often Decide was called: more than once if other writers were faster, and not at all for a Duplicate that was found at once.
	Tries int
	// Duplicate says that the events of this command (WithCommandID) were there already, and nothing was written now.
	Duplicate bool
}

// Handle loads a stream, decides, and appends the events of the decision at the version that was loaded, in two round trips. If others have
// appended meanwhile, the refusal brings their events, and Handle decides again in the state after them: see WithTries and WithBackoff. A
// decision without events appends nothing.
//
// An error of Decide comes back as it is; a *TriesError says that others were faster each time; anything else is an error of the store. When
// the answer of an append was lost (eventstream.SafeToRetry), the command may have been carried out: with WithCommandID, handle it again.
func (d Decider[Command, State]) Handle(
	ctx context.Context, store Store, id eventstream.StreamID, command Command, opts ...Option,
) (Result[State], error) {
	return d.HandleAcross(ctx, store, []eventstream.StreamID{id}, command, opts...)
}

// HandleAcross is Handle for a decision about several streams: the state follows from the events of all of them, those of one stream in order
// and those of different ones in none to rely upon. Decide says by StreamID where each new event belongs, and they are appended all or none.
// See Together for a state of each stream.
//
// It takes a round trip for each stream, and one to append. The streams are read one after the other, so Decide may see them at different
// moments. Those that get an event must still be where they were seen, or it is decided again; of one that gets none, and of all where Decide
// refuses, nothing is checked.
func (d Decider[Command, State]) HandleAcross(
	ctx context.Context, store Store, ids []eventstream.StreamID, command Command, opts ...Option,
) (Result[State], error) {
	options, err := optionsOf(opts)
	if err == nil {
		err = d.check(store, ids)
	}
	var snapshots Snapshots[State]
	if err == nil {
		snapshots, err = snapshotsOf[State](options, store, len(ids))
	}
	if err != nil {
		var none Result[State]
		return none, err
	}
	h := &handling[Command, State]{decider: d, store: store, options: options, command: command, snapshots: snapshots}
	for _, id := range ids {
		h.streams = append(h.streams, newPast(id, options))
	}
	if d.Initial != nil {
		h.state = d.Initial()
	}
	err = h.run(ctx)
	h.tellAppended()
	return h.result(), err
}

func (d Decider[Command, State]) check(store Store, ids []eventstream.StreamID) error {
	switch {
	case d.Decide == nil:
		return invalid.Value("Decider.Decide", "nil", "a function")
	case d.Evolve == nil:
		return invalid.Value("Decider.Evolve", "nil", "a function")
	case unset.IsNil(store):
		return invalid.Value("store", "nil", "a *eventstream.Repository, or what does the same")
	case len(ids) == 0:
		return invalid.Value("streams", "none", "at least 1")
	}
	seen := make(map[eventstream.StreamID]bool, len(ids))
	for _, id := range ids {
		if err := id.Validate(); err != nil {
			return err
		}
		if seen[id] {
			return invalid.Value("streams", string(id), "each given once")
		}
		seen[id] = true
	}
	return nil
}
