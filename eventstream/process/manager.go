package process

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Process says how to get something done that takes several steps and some time: which events are about the same thing, and what to do about
// each, given what is known of that thing so far. S is what is known; it is kept as JSON, in eventstream.process_states.
type Process[S any] struct {
	// Name is the name of the subscription that feeds it, and that of its timers.
	Name string
	// Key says what an event is about, as the id of an order, in the form of a stream id; an empty one leaves the event out. It must be the
	// same each time.
	Key func(event eventstream.LogEvent) string
	// On handles an event.
	On func(ctx context.Context, step *Step[S], event eventstream.LogEvent) error
	// OnTimer handles a timer that On or OnTimer had set. Default: nil, for a process that sets none.
	OnTimer func(ctx context.Context, step *Step[S], timer Timer) error
	// Config is that of the subscription: its Filter should select what Key has a key for. Of its policies for failures, Park leaves single
	// events out of a process, so Stop and ParkStream are for most. Default: nil, which means the defaults.
	Config *subscription.Config
	// Timers is that of its timers. Default: nil, which means the defaults.
	Timers *TimersConfig
}

// Manager runs a Process. It is a Subscription, whose Run handles timers as well.
//
// Each event is handled in the transaction in which the checkpoint moves, and each timer in the one that removes it; the state, what is
// appended and the timers that are set belong to the same transaction. So all of it happens exactly once, or not at all. Of one key, one event
// or timer is handled at a time, even if events of several shards are about it.
type Manager[S any] struct {
	*subscription.Subscription
	repo    *eventstream.Repository
	process Process[S]
	timers  *Timers
}

// NewManager describes what runs a process. It returns an *InvalidValueError for a bad name, function or config, and for a repository that is
// not on a *pgxpool.Pool; it does not talk to the database.
func NewManager[S any](repo *eventstream.Repository, process Process[S]) (*Manager[S], error) {
	if process.Key == nil {
		return nil, invalid.Value("Process.Key", "nil", "a function that says what an event is about")
	}
	if process.On == nil {
		return nil, invalid.Value("Process.On", "nil", "a function that handles an event")
	}
	if _, err := coreOnPool(repo); err != nil {
		return nil, err
	}
	m := &Manager[S]{repo: repo, process: process}
	var err error
	if m.Subscription, err = subscription.New(repo, process.Name, subscription.TxHandler(m.handle), process.Config); err != nil {
		return nil, err
	}
	if process.OnTimer == nil {
		return m, nil
	}
	if m.timers, err = NewTimers(repo, process.Name, m.fire, process.Timers); err != nil {
		return nil, err
	}
	return m, nil
}

// Run runs the subscription and the timers until ctx ends, and returns nil; any number of processes may run it. It returns an error when
// either of them does, and ends the other one before.
func (m *Manager[S]) Run(ctx context.Context) error {
	if m.timers == nil {
		return m.Subscription.Run(ctx)
	}
	// Run creates the subscription; with an error there, no timer fires.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- m.timers.Run(ctx)
	}()
	err := m.Subscription.Run(ctx)
	cancel()
	return errors.Join(err, <-ended)
}

// handle handles a batch of events.
func (m *Manager[S]) handle(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
	keys := make([]string, len(events))
	for i, event := range events {
		keys[i] = m.process.Key(event)
		if keys[i] != "" && !validName(keys[i]) {
			return subscription.HandledFirst(i, invalid.Value("key of the event", keys[i], nameRule))
		}
	}
	b, err := m.begin(ctx, tx, keys)
	if err != nil {
		return err
	}
	for i, event := range events {
		if keys[i] == "" {
			continue
		}
		err := b.step(ctx, keys[i], event.ID, func(s *Step[S]) error { return m.process.On(ctx, s, event) })
		if err != nil {
			return subscription.HandledFirst(i, err)
		}
	}
	return b.save(ctx)
}

// fire handles a timer.
func (m *Manager[S]) fire(ctx context.Context, tx pgx.Tx, timer Timer) error {
	b, err := m.begin(ctx, tx, []string{timer.Key})
	if err != nil {
		return err
	}
	err = b.step(ctx, timer.Key, timer.ID, func(s *Step[S]) error { return m.process.OnTimer(ctx, s, timer) })
	if err != nil {
		return err
	}
	return b.save(ctx)
}
