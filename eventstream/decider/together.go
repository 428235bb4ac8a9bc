package decider

import (
	"slices"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Streams is the states of several streams of one kind.
type Streams[State any] struct {
	initial func() State
	states  map[eventstream.StreamID]State
	looked  *looked
}

// looked is which streams a decision looks at.
type looked struct {
	// handled are those that the command is handled for; nil while nothing is decided.
	handled []eventstream.StreamID
	// stranger is another one; empty if there is none.
	stranger eventstream.StreamID
}

func (s Streams[State]) looks() *looked { return s.looked }

// Of is the state of a stream; the initial one if it has no events. A decision by HandleAcross that looks at a stream which the command is not
// handled for is refused with an *eventstream.InvalidValueError: it would decide on what it has not read.
func (s Streams[State]) Of(id eventstream.StreamID) State {
	if s.looked != nil && s.looked.handled != nil && !slices.Contains(s.looked.handled, id) {
		s.looked.stranger = id
	}
	state, known := s.states[id]
	if !known && s.initial != nil {
		return s.initial()
	}
	return state
}

// Together makes a decider about several streams of one kind, for HandleAcross: one is the decider about a single stream, of which Initial and
// Evolve are used, and decide sees the state of each and returns events with their StreamID.
func Together[Command, Single, State any](
	one Decider[Single, State], decide func(Command, Streams[State]) ([]eventstream.Event, error),
) Decider[Command, Streams[State]] {
	together := Decider[Command, Streams[State]]{
		Initial: func() Streams[State] {
			return Streams[State]{initial: one.Initial, states: map[eventstream.StreamID]State{}, looked: &looked{}}
		},
		Decide: decide,
	}
	if one.Evolve != nil {
		together.Evolve = func(s Streams[State], e eventstream.Event) (Streams[State], error) {
			state, err := one.Evolve(s.Of(e.StreamID), e)
			if err == nil {
				s.states[e.StreamID] = state
			}
			return s, err
		}
	}
	return together
}

// decide asks Decide, and demands that it has looked at streams alone that the command is handled for.
func (h *handling[Command, State]) decide() ([]eventstream.Event, error) {
	several, are := any(h.state).(interface{ looks() *looked })
	if !are || several.looks() == nil {
		return h.decider.Decide(h.command, h.state)
	}
	l := several.looks()
	for _, s := range h.streams {
		l.handled = append(l.handled, s.id)
	}
	defer func() { *l = looked{} }()
	events, err := h.decider.Decide(h.command, h.state)
	if l.stranger != "" {
		return nil, invalid.Value("stream_id", string(l.stranger), "one of the streams that the command is handled for: Decide looked at its state")
	}
	return events, err
}

// On says that events belong to a stream, for a decision about several.
func On(id eventstream.StreamID, events ...eventstream.Event) []eventstream.Event {
	for i := range events {
		events[i].StreamID = id
	}
	return events
}
