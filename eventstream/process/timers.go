package process

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/unset"
)

// TimerHandler handles a timer that is due, in the transaction that removes it: what it writes through tx is stored exactly once, and
// so is what it appends by a repository in tx (Repository.WithTx). It may set the timer again. Returning nil commits, an error rolls back;
// it must not end the transaction by itself. What it does elsewhere than in tx can happen more than once. Timers that are due at the same time
// may share a transaction: see TimersConfig.BatchSize.
//
// subscription.Permanent and subscription.RetryAfter say of an error what they say of one of a subscription's handler.
type TimerHandler func(ctx context.Context, tx pgx.Tx, timer Timer) error

const (
	defaultWorkers    = 4
	defaultTimerBatch = 20
	maxTimerBatch     = 1000
	// batchTime is about how long the handlers of a transaction may take together: what they append holds back the log.
	batchTime           = 250 * time.Millisecond
	defaultPollInterval = time.Second
	defaultMaxTries     = 5
	defaultMinBackoff   = time.Second
	defaultMaxBackoff   = 5 * time.Minute
)

// TimersConfig adjusts a Timers. Nil and the zero value mean the defaults.
type TimersConfig struct {
	// Workers is how many batches of timers are handled at a time, each on a connection of the pool, from 1 to 1000. Default: 4, or half of the pool
	// if that is less.
	Workers int
	// BatchSize is how many timers that are due are handled in one transaction at most, one after the other and each of another key, from 1 to
	// 1000; fewer where the handler takes its time, so that they take about 250 ms. If the handler fails on one of them, the transaction is rolled back,
	// and each gets one of its own, as does what has failed before. Default: 20.
	BatchSize int
	// PollInterval is the longest time between two looks at what is due, from 1 ms: as late can a timer fire that was set, or became due
	// because a clock was set, while nothing was to do. Default: 1 s.
	PollInterval time.Duration
	// MaxTries is how often the handler may fail on a timer, from 1, before that is parked. Default: 5.
	MaxTries int
	// MinBackoff and MaxBackoff are the pauses between two tries: the first, and the longest, which doubling leads to. Default: 1 s
	// and 5 min.
	MinBackoff, MaxBackoff time.Duration
	// HandlerTimeout is how long the handler may take. Then its context ends, and the try has failed; a statement in its transaction ends at
	// the server within a second more. Default: 0, which means for ever.
	HandlerTimeout time.Duration
	// IdleTimeout is how long the handler's transaction may wait between two statements, from 1 ms: then the server ends it, so that the
	// timer of a process that hangs goes to others. Default: Config.Lease of the repository.
	IdleTimeout time.Duration
	// OnError is told of each failure, a *TimerError, and of interruptions, as when the database is away; from several goroutines at
	// once. Default: nil, which writes to slog.Default().
	OnError func(err error)
}

func (c *TimersConfig) withDefaults(inside core) (TimersConfig, error) {
	out := TimersConfig{}
	if c != nil {
		out = *c
	}
	unset.Default(&out.Workers, min(defaultWorkers, max(1, int(inside.Pool().Config().MaxConns)/2)))
	unset.Default(&out.BatchSize, defaultTimerBatch)
	unset.Default(&out.PollInterval, defaultPollInterval)
	unset.Default(&out.MaxTries, defaultMaxTries)
	unset.Default(&out.MinBackoff, defaultMinBackoff)
	unset.Default(&out.MaxBackoff, max(defaultMaxBackoff, out.MinBackoff))
	unset.Default(&out.IdleTimeout, min(inside.Settings().Lease, invalid.LongestTimeout))
	if out.OnError == nil {
		out.OnError = func(err error) { slog.Default().Warn("gapless: timers", slog.String("error", err.Error())) }
	}
	return out, cmp.Or(
		invalid.Range("process.TimersConfig.Workers", out.Workers, 1, 1000),
		invalid.Range("process.TimersConfig.BatchSize", out.BatchSize, 1, maxTimerBatch),
		invalid.Duration("process.TimersConfig.PollInterval", out.PollInterval, time.Millisecond, time.Hour),
		invalid.Range("process.TimersConfig.MaxTries", out.MaxTries, 1, 1_000_000),
		invalid.Duration("process.TimersConfig.MinBackoff", out.MinBackoff, time.Microsecond, invalid.LongestTimeout),
		invalid.Duration("process.TimersConfig.MaxBackoff", out.MaxBackoff, out.MinBackoff, invalid.LongestTimeout),
		invalid.Duration("process.TimersConfig.HandlerTimeout", out.HandlerTimeout, 0, invalid.LongestTimeout),
		invalid.Duration("process.TimersConfig.IdleTimeout", out.IdleTimeout, time.Millisecond, invalid.LongestTimeout),
	)
}

// Timers handles the timers of a process once they are due, each exactly once, in whichever of the processes that run it.
//
// A timer is due once the database's clock has passed its time. Clocks decide when that is, and nothing else: a timer is a row, which goes
// away in the transaction of its handler, so it fires once however clocks are set, and is tried until that commits. Timers that are due at
// the same time fire in no particular order.
type Timers struct {
	core   core
	name   string
	handle TimerHandler
	config TimersConfig
	// tracer is told of handlers; nil if nobody is.
	tracer TimerTracer
	// pace is how long the handler took for a timer in the last transaction.
	pace atomic.Int64
}

// NewTimers describes who handles the timers of a process. A nil config means the defaults. It returns an *InvalidValueError for a bad name,
// handler or config, and for a repository that is not on a *pgxpool.Pool; it does not talk to the database.
func NewTimers(repo *eventstream.Repository, process string, handle TimerHandler, config *TimersConfig) (*Timers, error) {
	inside, err := coreOnPool(repo)
	if err != nil {
		return nil, err
	}
	if !validName(process) {
		return nil, invalid.Value("process name", process, nameRule)
	}
	if handle == nil {
		return nil, invalid.Value("handler", "nil", "a TimerHandler")
	}
	complete, err := config.withDefaults(inside)
	if err != nil {
		return nil, err
	}
	t := &Timers{core: inside, name: process, handle: handle, config: complete}
	t.pace.Store(int64(batchTime)) // one at first
	t.tracer, _ = inside.Tracer().(TimerTracer)
	return t, nil
}

const nameRule = "1 to 128 bytes, no control characters, no white space at either end"

// validName is the rule of eventstream.is_name, which stream ids follow too.
func validName(name string) bool { return eventstream.StreamID(name).Validate() == nil }
