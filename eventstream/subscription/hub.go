package subscription

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/shown"
)

// hub is what all subscriptions that run in one repository share: a poller, which looks how far the log is stable and claims
// shards; a membership, by which other processes know this one; and a bounded number of connections. It works while at least
// one subscription runs.
type hub struct {
	core     core
	settings access.Settings
	pool     *pgxpool.Pool
	// own has the connections that keep this process a member, poll and listen: whoever uses up the pool must not cost it its shards. It is
	// opened when the first subscription runs, and closed after the last.
	own *pgxpool.Pool
	// dropped is closed once all earlier ones are; nil while there was none.
	dropped chan struct{}
	// slots holds a token for each connection that shard workers may use at a time.
	slots chan struct{}
	// buffers holds the memory of pages that shard workers are done with, until the garbage collector wants it.
	buffers sync.Pool
	// kick makes the poller look at once.
	kick chan struct{}
	// busy is when something happened last: the poller looks more often after it. A time that time.Now gave, since what has passed since
	// then must not depend on the clock on the wall.
	busy atomic.Pointer[time.Time]
	// seen is when the poller last had an answer.
	seen atomic.Pointer[time.Time]
	// active says that somebody would notice a kick.
	active atomic.Bool
	// waiting is how many shards have read all that is stable. While there is none, nobody gains by a look at the log.
	waiting atomic.Int32
	// claimSoon makes the poller claim shards at its next look.
	claimSoon atomic.Bool

	mu   sync.Mutex
	runs map[string]*run
	// stop ends serving, and stopped is closed when it has; nil while no subscription runs.
	stop    context.CancelFunc
	stopped chan struct{}
	// stable is the stable position as the poller saw it last; rose is raised when it is higher than before.
	stable int64
	rose   signal
}

// run is one Subscription.Run.
type run struct {
	sub *Subscription
	// outer is what Run was given; ctx ends with it, a moment later, or early by cancel.
	outer   context.Context //nolint:containedctx // as ctx
	ctx     context.Context //nolint:containedctx // workers come and go during one Run
	cancel  context.CancelFunc
	workers map[int]*shardWorker
	// leaving says that no further worker is started.
	leaving bool
	failed  chan error
	// requested is the request that obeying is about, and revoke ends it; nil while there is none. The hub's mu guards them.
	requested uuid.UUID
	revoke    context.CancelCauseFunc
	obeying   sync.WaitGroup
	*teller
}

// fail ends the run with an error; the first one counts.
func (r *run) fail(err error) {
	select {
	case r.failed <- err:
	default:
	}
}

// hubOf is the hub that the subscriptions of a repository share, whatever transaction that is in.
func hubOf(c core) *hub {
	return c.Runtime(func() (any, func()) { //nolint:forcetypeassert // nobody else makes one
		h := newHub(c)
		return h, h.grew
	}).(*hub)
}

func newHub(c core) *hub {
	settings, pool := c.Settings(), c.Pool()
	// One connection is the member's, one the poller's, and one the listener's: these are the hub's own.
	workers := settings.Connections - ownConnections(settings.Notify)
	// In a small pool, handlers must not leave nothing to those who wait for them, or to what they ask for themselves.
	workers = min(workers, int(pool.Config().MaxConns)-2)
	return &hub{
		core: c, settings: settings,
		pool:  pool,
		slots: make(chan struct{}, max(workers, 1)),
		kick:  make(chan struct{}, 1),
		runs:  map[string]*run{},
	}
}

// checkPool demands room to fetch, to handle, and for what a handler asks for by itself.
func (h *hub) checkPool() error {
	if size := int(h.pool.Config().MaxConns); size < access.MinConnections {
		return invalid.Value("pool size", strconv.Itoa(size), fmt.Sprintf("MaxConns of %d or more to run subscriptions, better more than %d",
			access.MinConnections, h.settings.Connections))
	}
	return nil
}

// run runs a subscription until its context ends or it fails for good.
func (h *hub) run(ctx context.Context, s *Subscription) error {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{sub: s, outer: outer, ctx: ctx, cancel: cancel, workers: map[int]*shardWorker{}, failed: make(chan error, 1)}
	if err := h.join(r); err != nil {
		return err
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-r.failed:
	}
	err = cmp.Or(err, h.leave(r))
	r.obeying.Wait() // its context has ended with the run's
	if err != nil {
		r.tell(RunStopped{Subscription: s.name, Err: err})
	}
	r.close()
	return err
}

func (h *hub) join(r *run) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs[r.sub.name] != nil {
		return fmt.Errorf("subscription %s: %w", shown.Quote(r.sub.name), ErrRunning)
	}
	r.teller = newTeller(r.sub.name, r.sub.config.Observer)
	h.runs[r.sub.name] = r
	if h.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		previous := h.stopped
		h.stop, h.stopped = cancel, make(chan struct{})
		h.active.Store(true)
		go h.serve(ctx, previous, h.stopped)
	}
	h.claimSoon.Store(true)
	h.wake()
	return nil
}

// grew lets the poller look at once, if a shard waits for more. It is called after every append, and costs nothing while none does.
func (h *hub) grew() {
	if h.waiting.Load() > 0 {
		h.wake()
	}
}

// hasten lets the poller look at once if that can bring a checkpoint on that somebody waits for.
func (h *hub) hasten() {
	if h.waiting.Load() > 0 || h.wanted() {
		h.wake()
	}
}

// wake lets the poller look at once.
func (h *hub) wake() {
	if !h.active.Load() {
		return
	}
	h.isBusy(time.Now())
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// publish takes over a stable position, and says whether it rose. A lower one counts as well: what a server says now is what is so.
func (h *hub) publish(stable int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	rose := stable > h.stable
	h.stable = stable
	if rose {
		h.rose.raise()
	}
	return rose
}

// waitStable returns the stable position once it is above a position.
func (h *hub) waitStable(ctx context.Context, above int64) (int64, error) {
	for waits := false; ; {
		h.mu.Lock()
		stable, rose := h.stable, h.rose.next()
		h.mu.Unlock()
		if stable > above {
			return stable, nil
		}
		if !waits {
			waits = true
			h.waiting.Add(1)
			defer h.waiting.Add(-1)
			h.wake() // the last look was before it had come this far
		}
		select {
		case <-rose:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// names returns the subscriptions that run, in order; not those that are leaving and have no handler at work any more.
func (h *hub) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]string, 0, len(h.runs))
	for name, r := range h.runs {
		working := !r.leaving
		for _, w := range r.workers {
			working = working || !w.ended()
		}
		if working {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// report tells every subscription of an error that is tried again. It waits for no observer.
func (h *hub) report(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		r.tell(Interrupted{Subscription: r.sub.name, Shard: -1, Err: err})
	}
}

// application is what this process calls itself to those who watch.
func (h *hub) application() string {
	name := h.pool.Config().ConnConfig.RuntimeParams["application_name"]
	if name == "" {
		name = filepath.Base(os.Args[0])
	}
	host, _ := os.Hostname()
	return fmt.Sprintf("%s, process %d on %s", name, os.Getpid(), host)
}
