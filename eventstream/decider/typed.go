package decider

import "github.com/gaplesspg/gapless/eventstream"

// Typed is a decider over events of a type E of the program's own, most often an interface with a type for each kind of event. Encode and
// Decode are the only parts that know how an event is stored: methods of a codec, or functions of a few lines.
type Typed[Command, State, E any] struct {
	// Initial is that of Decider. Default: nil, which is the zero State.
	Initial func() State
	// Decide is that of Decider. Required.
	Decide func(Command, State) ([]E, error)
	// Evolve returns the state after an event. Required.
	Evolve func(State, E) State
	// Encode makes an event to append. Required.
	Encode func(E) (eventstream.Event, error)
	// Decode gives back what was encoded. Its error ends Handle. Required.
	Decode func(eventstream.Event) (E, error)
}

// Decider is the same decider over events as they are stored. Where a function is missing, so is that of the Decider which needs it, and
// Handle says so.
func (t Typed[Command, State, E]) Decider() Decider[Command, State] {
	d := Decider[Command, State]{Initial: t.Initial}
	if t.Decide != nil && t.Encode != nil {
		d.Decide = t.decide
	}
	if t.Evolve != nil && t.Decode != nil {
		d.Evolve = t.evolve
	}
	return d
}

func (t Typed[Command, State, E]) decide(command Command, state State) ([]eventstream.Event, error) {
	decided, err := t.Decide(command, state)
	if err != nil || len(decided) == 0 {
		return nil, err
	}
	events := make([]eventstream.Event, len(decided))
	for i, e := range decided {
		if events[i], err = t.Encode(e); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (t Typed[Command, State, E]) evolve(state State, event eventstream.Event) (State, error) {
	e, err := t.Decode(event)
	if err != nil {
		return state, err
	}
	return t.Evolve(state, e), nil
}
