package subscription

import (
	"cmp"
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/unset"
)

const (
	defaultBatchSize  = 1000
	maxBatchSize      = 10_000
	defaultWindow     = 4
	maxWindow         = 1000
	defaultMaxTries   = 5
	defaultMinBackoff = 100 * time.Millisecond
	defaultMaxBackoff = 30 * time.Second
)

// FailurePolicy says what to do about an event that a handler failed on Config.MaxTries times.
type FailurePolicy int

const (
	// Stop ends Run with a *HandlerError; nothing is left out, and the shard waits where it is.
	Stop FailurePolicy = iota
	// Park puts the event aside in eventstream.parked_events and goes on with the next one.
	Park
	// ParkStream puts the event aside, and behind it everything later of its stream, so that order is kept.
	ParkStream
)

// Config adjusts a Subscription. Nil and the zero value mean the defaults.
type Config struct {
	// From is where the subscription starts when it is created; later on it goes on where it was. Default: FromBeginning.
	From eventstream.Start
	// Filter selects what it gets. It cannot be changed later. Default: everything.
	Filter eventstream.LogFilter
	// Shards is how many groups its partitions form, from 1 to the store's partition count: as many processes can share the
	// work. Order holds within a stream always, in the whole log only with one. Reshard changes it
	// later. Default: 1.
	Shards int
	// BatchSize is the largest number of events that the handler gets at once, from 1 to 10,000. Default: 1000.
	BatchSize int
	// Window is how many batches may be handled without their checkpoint being written, from 1 to 1000: after a crash these
	// come again. For an EffectHandler or an AsyncHandler. Default: 4.
	Window int
	// OnFailure says what to do about an event that the handler keeps failing on. Default: Stop.
	OnFailure FailurePolicy
	// MaxTries is how often an event is tried by itself before that, from 1. Default: 5.
	MaxTries int
	// MinBackoff and MaxBackoff are the pauses between two tries: the first, and the longest, which doubling leads to.
	// Default: 100 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// HandlerTimeout is how long a handler may take for a batch, and an AsyncHandler until it acknowledges. Then its context ends, and the
	// try has failed; a statement in the transaction of a TxHandler ends at the server within a second more. Default: 0, which means for
	// ever.
	HandlerTimeout time.Duration
	// StopTimeout is how long a handler may go on once it was told to come to an end: Run's context ended, the shard was lost, or is to
	// go to another process. After it nobody waits for the handler any longer: its shard goes to others, and a Run that has ended returns
	// a *HandlerStuckError. Default: Config.Lease of the repository.
	StopTimeout time.Duration
	// IdleTimeout is how long the transaction of a TxHandler may wait between two statements, from 1 ms: then the server ends it, so that
	// a process that hangs holds no locks for longer than its shard. That does not count as a try. Default: Config.Lease of the repository.
	IdleTimeout time.Duration
	// Observer is told what the subscription does: batches handled, tries that failed, events parked, shards claimed and lost. Default:
	// SlogObserver(nil), which writes to slog.Default().
	Observer Observer
}

// withDefaults returns a complete copy, given the lease of the repository.
func (c *Config) withDefaults(lease time.Duration) (Config, error) {
	out := Config{}
	if c != nil {
		out = *c
	}
	if out.From == nil {
		out.From = eventstream.FromBeginning
	}
	if out.Observer == nil {
		out.Observer = SlogObserver(nil)
	}
	unset.Default(&out.Shards, 1)
	unset.Default(&out.BatchSize, defaultBatchSize)
	unset.Default(&out.Window, defaultWindow)
	unset.Default(&out.MaxTries, defaultMaxTries)
	unset.Default(&out.MinBackoff, defaultMinBackoff)
	unset.Default(&out.MaxBackoff, max(defaultMaxBackoff, out.MinBackoff))
	unset.Default(&out.StopTimeout, min(lease, invalid.LongestTimeout))
	unset.Default(&out.IdleTimeout, min(lease, invalid.LongestTimeout))
	return out, out.validate()
}

func (c *Config) validate() error {
	if c.OnFailure < Stop || c.OnFailure > ParkStream {
		return invalid.Value("subscription.Config.OnFailure", strconv.Itoa(int(c.OnFailure)), "Stop, Park or ParkStream")
	}
	if c.MinBackoff < 0 {
		return invalid.Value("subscription.Config.MinBackoff", c.MinBackoff.String(), "0s or more; 0 means 100ms")
	}
	if c.MaxBackoff < c.MinBackoff {
		return invalid.Value("subscription.Config.MaxBackoff", c.MaxBackoff.String(), "MinBackoff ("+c.MinBackoff.String()+") or more")
	}
	return cmp.Or(
		invalid.Range("subscription.Config.Shards", c.Shards, 1, access.MaxPartitionCount),
		invalid.Range("subscription.Config.BatchSize", c.BatchSize, 1, maxBatchSize),
		invalid.Range("subscription.Config.Window", c.Window, 1, maxWindow),
		invalid.Range("subscription.Config.MaxTries", c.MaxTries, 1, 1_000_000),
		invalid.Duration("subscription.Config.HandlerTimeout", c.HandlerTimeout, 0, invalid.LongestTimeout),
		invalid.Duration("subscription.Config.StopTimeout", c.StopTimeout, time.Millisecond, invalid.LongestTimeout),
		invalid.Duration("subscription.Config.IdleTimeout", c.IdleTimeout, time.Millisecond, invalid.LongestTimeout),
	)
}
