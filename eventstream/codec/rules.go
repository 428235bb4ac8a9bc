package codec

import "github.com/gaplesspg/gapless/eventstream"

// Decide makes rules that decide on values into ones that decide on events, in the shape that a decider takes: what they decide is encoded, by
// EncodeAll.
func Decide[Command, State any](
	r *Registry, decide func(Command, State) ([]any, error),
) func(Command, State) ([]eventstream.Event, error) {
	return func(command Command, state State) ([]eventstream.Event, error) {
		values, err := decide(command, state)
		if err != nil {
			return nil, err
		}
		return r.EncodeAll(values...)
	}
}

// Evolve makes a fold over values into one over events, in the shape that deciders and snapshots take: it is called with each value that
// Decode gives. An event that cannot be decoded is its error, and leaves the state as it was.
func Evolve[State any](r *Registry, evolve func(State, any) State) func(State, eventstream.Event) (State, error) {
	return func(state State, e eventstream.Event) (State, error) {
		err := r.Each(e, func(value any) error {
			state = evolve(state, value)
			return nil
		})
		return state, err
	}
}

// Each calls do with each value of an event, in the order of Decode, until it returns an error. It is for one
// function that sees all of them; Handlers has one for each type.
func (r *Registry) Each(e eventstream.Event, do func(value any) error) error {
	values, err := r.Decode(e)
	if err != nil {
		return err
	}
	for _, value := range values {
		if err := do(value); err != nil {
			return err
		}
	}
	return nil
}
