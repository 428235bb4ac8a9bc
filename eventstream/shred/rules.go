package shred

import (
	"context"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Decide makes rules that decide on values about one stream into ones that decide on events of it, in the shape that a decider takes: what they
// decide is encoded, with personal fields encrypted. Keys are looked up, if they are not cached, as long as the context lasts: make one for each
// command.
func Decide[Command, State any](
	ctx context.Context, c *Codec, id eventstream.StreamID, decide func(Command, State) ([]any, error),
) func(Command, State) ([]eventstream.Event, error) {
	return decideEncoded(decide, func(values []any) ([]eventstream.Event, error) { return c.EncodeAll(ctx, id, values...) })
}

// DecideUnder is Decide for a decider with a command id, decider.WithCommandID: the n-th event that is decided, from 0, gets the id eventID(n),
// which is decider.EventID of the command, the stream and n. What is decided again for the same command is then the same event.
func DecideUnder[Command, State any](
	ctx context.Context, c *Codec, id eventstream.StreamID, eventID func(n int) uuid.UUID, decide func(Command, State) ([]any, error),
) func(Command, State) ([]eventstream.Event, error) {
	return decideEncoded(decide, func(values []any) ([]eventstream.Event, error) { return c.EncodeUnder(ctx, id, eventID, values...) })
}

// decideEncoded makes rules that decide on values into ones that decide on what encode makes of these.
func decideEncoded[Command, State any](
	decide func(Command, State) ([]any, error), encode func([]any) ([]eventstream.Event, error),
) func(Command, State) ([]eventstream.Event, error) {
	return func(command Command, state State) ([]eventstream.Event, error) {
		values, err := decide(command, state)
		if err != nil {
			return nil, err
		}
		return encode(values)
	}
}

// Evolve makes a fold over values into one over events, in the shape that deciders and snapshots take, for as long as the context lasts. A state
// that takes personal fields over holds them in the clear: leave them out of one that is kept in snapshots.
func Evolve[State any](ctx context.Context, c *Codec, evolve func(State, any) State) func(State, eventstream.Event) (State, error) {
	return func(state State, e eventstream.Event) (State, error) {
		err := c.Each(ctx, e, func(value any) error {
			state = evolve(state, value)
			return nil
		})
		return state, err
	}
}
