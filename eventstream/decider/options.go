package decider

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/internal/invalid"
)

const (
	defaultTries      = 20
	maxTries          = 1000
	defaultMinBackoff = time.Millisecond
	defaultMaxBackoff = 100 * time.Millisecond
	maxBackoff        = time.Minute
)

// Option changes how Handle goes about a command.
type Option func(*options) error

type options struct {
	tries      int
	minBackoff time.Duration
	maxBackoff time.Duration
	command    *uuid.UUID
	// snapshots is a Snapshots of some state.
	snapshots any
}

// WithTries bounds how often a command is decided while other writers are faster each time, from 1 to 1000; then Handle returns a *TriesError.
// Default: 20.
func WithTries(tries int) Option {
	return func(o *options) error {
		if tries < 1 || tries > maxTries {
			return invalid.Value("WithTries", strconv.Itoa(tries), "from 1 to 1000")
		}
		o.tries = tries
		return nil
	}
}

// WithBackoff bounds how long Handle waits before it tries again. The first time it does at once; then it waits for a random time, at most
// least, twice that, and so on up to most. From 0 to a minute. Default: 1 ms and 100 ms.
func WithBackoff(least, most time.Duration) Option {
	return func(o *options) error {
		if least < 0 || most < least || most > maxBackoff {
			return invalid.Value("WithBackoff", least.String()+" to "+most.String(), "from 0s to 1m0s, the lower bound first")
		}
		o.minBackoff, o.maxBackoff = least, most
		return nil
	}
}

// WithCommandID makes a command count once, however often it is handled: the ids of its events follow from this id (EventID), and Handle looks
// for them before it decides. A command that was carried out before is a Duplicate, even where the state has moved on and Decide would now
// refuse it. Handle it again for the same streams: an event's id follows from its stream too. A command that led to no event leaves no trace,
// and is decided anew. The ids that Decide has given to its events are replaced; one with encrypted fields has to have the right one already, which
// shred.DecideUnder sees to.
//
// Take the id from the request (an idempotency key, the id of a message), not from the process that serves it. Default: none.
func WithCommandID(id uuid.UUID) Option {
	return func(o *options) error {
		if id == uuid.Nil {
			return invalid.Value("WithCommandID", id.String(), "an id of the command's own")
		}
		o.command = &id
		return nil
	}
}

func optionsOf(opts []Option) (options, error) {
	o := options{tries: defaultTries, minBackoff: defaultMinBackoff, maxBackoff: defaultMaxBackoff}
	for i, opt := range opts {
		if opt == nil {
			return o, invalid.Value("option "+strconv.Itoa(i+1), "nil", "one of those that begin with With")
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// backoff is the longest wait after so many tries.
func (o options) backoff(tries int) time.Duration {
	if tries < 2 {
		return 0
	}
	longest := o.minBackoff
	for range tries - 2 {
		if longest >= o.maxBackoff/2 {
			return o.maxBackoff
		}
		longest *= 2
	}
	return min(longest, o.maxBackoff)
}

// wait waits for a random part of the backoff, so that those who met do not meet again.
func (o options) wait(ctx context.Context, tries int) error {
	longest := o.backoff(tries)
	if longest == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(rand.N(longest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
