package decider

import "github.com/gaplesspg/gapless/eventstream"

// Streams is the states of several streams of one kind.
type Streams[State any] struct {
	initial func() State
	states  map[eventstream.StreamID]State
}

// Of is the state of a stream; the initial one if it has no events.
func (s Streams[State]) Of(id eventstream.StreamID) State {
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
			return Streams[State]{initial: one.Initial, states: map[eventstream.StreamID]State{}}
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

// On says that events belong to a stream, for a decision about several.
func On(id eventstream.StreamID, events ...eventstream.Event) []eventstream.Event {
	for i := range events {
		events[i].StreamID = id
	}
	return events
}
