package process

import (
	"context"
	"errors"
	"fmt"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/unset"
)

// Publisher hands events to another system: a Webhook does, natsjs.Publisher in a module of its own, and yours.
type Publisher interface {
	// Publish hands over events in their order, and returns how many the other system has accepted, from the first on: all of them with a
	// nil error. It stops at the first that is not, so that the order within each stream is kept. An event may come again, after a crash
	// or a lost answer: the other system knows it by its id.
	//
	// Of an error, subscription.Permanent says that no further try can help, subscription.RetryAfter that it is not the event's
	// fault. Publish returns soon once ctx has ended.
	Publish(ctx context.Context, events []eventstream.LogEvent) (accepted int, err error)
}

// NewOutbox describes a subscription that hands every event to another system: at least once, and in order within each stream. What was
// accepted does not come again because a later event was not. With several shards (Config.Shards), as many events are on their way at a time.
//
// Of the policies for events that are refused, ParkStream keeps the order within the streams, and Stop within everything; Park does not.
// subscription.New says which errors there are.
func NewOutbox(repo *eventstream.Repository, name string, to Publisher, config *subscription.Config) (*subscription.Subscription, error) {
	if unset.IsNil(to) {
		return nil, invalid.Value("publisher", "nil", "a Publisher, as NewWebhook makes one")
	}
	return subscription.New(repo, name, publish(to), config)
}

// publish makes a handler of a publisher.
func publish(to Publisher) subscription.EffectHandler {
	return func(ctx context.Context, events []eventstream.LogEvent) error {
		accepted, err := to.Publish(ctx, events)
		switch {
		case accepted < 0 || accepted > len(events):
			return fmt.Errorf("publisher says that it accepted %d of %d events: %w", accepted, len(events), errors.Join(errWrongCount, err))
		case err == nil && accepted == len(events):
			return nil
		}
		return subscription.HandledFirst(accepted, err)
	}
}

// errWrongCount is the failure of a publisher that says something impossible.
var errWrongCount = errors.New("not a number of its events, counted from the first")
