package subscription

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/shown"
	"github.com/gaplesspg/gapless/internal/unset"
)

const (
	defaultRestartMin = time.Second
	defaultRestartMax = time.Minute
)

// Job is what a Runner runs: a *Subscription, a *Projector, a *process.Manager or *process.Timers, or anything else that runs until its context
// ends.
type Job interface {
	// Name names it in errors, observations and health. It is unique in a Runner.
	Name() string
	// Run runs it until ctx ends, and then returns nil. An error before that ended it.
	Run(ctx context.Context) error
	// Lag says how far it is; nothing where there is nothing to say.
	Lag(ctx context.Context) ([]ShardLag, error)
}

// Runner runs the subscriptions and projections of a process. One that fails is restarted, after pauses that grow, where that may help; one
// that fails for good leaves the others alone, unless StopTogether says otherwise. Do not change its fields, or copy it, once Run was called.
type Runner struct {
	// Jobs are what it runs, at least one. They are stopped in the opposite order, each once the one before it has ended. Required.
	Jobs []Job
	// StopTogether stops all jobs when one has failed for good, and Run returns. Default: false, which lets the others go on.
	StopTogether bool
	// Restart says whether a job that ended with an error is run again. Default: nil, which is MayRestart.
	Restart func(err error) bool
	// MinBackoff and MaxBackoff are the pauses before a restart: the first, and the longest, which doubling leads to. They begin anew after
	// a run that lasted for longer than MaxBackoff. Default: 1 s and 1 minute.
	MinBackoff, MaxBackoff time.Duration
	// Observer is told of restarts and of jobs that are given up, beside what the jobs tell their own observers. Default: SlogObserver(nil).
	Observer Observer

	mu sync.Mutex
	// jobs are those of the Run that is under way, or of the last one; running says which.
	jobs    []*supervised
	running bool
}

// Run runs all jobs until ctx ends, stops them in order, and returns once all have ended. It returns what jobs failed with for good, joined,
// or nil; at once if all have, or one with StopTogether. It returns an *InvalidValueError for fields out of bounds, and ErrRunning
// while another Run is under way.
func (r *Runner) Run(ctx context.Context) error {
	s, err := r.begin()
	if err != nil {
		return err
	}
	defer func() {
		s.told.close()
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
	}()
	return s.run(ctx)
}

// begin checks the fields, and makes what one Run needs.
func (r *Runner) begin() (*supervision, error) {
	s := &supervision{restart: r.Restart, least: r.MinBackoff, most: r.MaxBackoff, together: r.StopTogether}
	unset.Default(&s.least, defaultRestartMin)
	unset.Default(&s.most, max(defaultRestartMax, s.least))
	if s.restart == nil {
		s.restart = MayRestart
	}
	if err := r.check(s); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running {
		return nil, fmt.Errorf("runner of %d jobs: %w", len(r.jobs), ErrRunning)
	}
	for _, job := range r.Jobs {
		s.jobs = append(s.jobs, &supervised{job: job, done: make(chan struct{})})
	}
	s.ended = make(chan *supervised, len(s.jobs))
	observer := r.Observer
	if observer == nil {
		observer = SlogObserver(nil)
	}
	s.told = newTeller("", observer)
	r.jobs, r.running = s.jobs, true
	return s, nil
}

func (r *Runner) check(s *supervision) error {
	if len(r.Jobs) == 0 {
		return invalid.Value("Runner.Jobs", "none", "at least one Job, as a *Subscription or a *Projector")
	}
	var names []string
	for i, job := range r.Jobs {
		if unset.IsNil(job) {
			return invalid.Value("Runner.Jobs["+strconv.Itoa(i)+"]", "nil", "a Job, as a *Subscription or a *Projector")
		}
		if slices.Contains(names, job.Name()) {
			return invalid.Value("Runner.Jobs["+strconv.Itoa(i)+"]", job.Name(), "of another name than those before it: run it once in a process")
		}
		names = append(names, job.Name())
	}
	switch {
	case s.least < 0:
		return invalid.Value("Runner.MinBackoff", s.least.String(), "0s or more; 0 means 1s")
	case s.most < s.least:
		return invalid.Value("Runner.MaxBackoff", s.most.String(), "MinBackoff ("+s.least.String()+") or more")
	}
	return nil
}

// supervision is one Run of a Runner.
type supervision struct {
	jobs        []*supervised
	restart     func(error) bool
	least, most time.Duration
	together    bool
	told        *teller
	// ended is told which jobs have, and will not be restarted.
	ended chan *supervised
}

// run starts all, waits, and stops them one after the other, the last one first.
func (s *supervision) run(ctx context.Context) error {
	for _, j := range s.jobs {
		// Not the end of ctx itself, which would stop all of them at once.
		var alone context.Context
		alone, j.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go s.supervise(alone, j)
	}
	s.await(ctx)
	for _, j := range slices.Backward(s.jobs) {
		j.cancel()
		<-j.done
	}
	return s.failures()
}

// await returns when it is time to stop.
func (s *supervision) await(ctx context.Context) {
	for range s.jobs {
		select {
		case <-ctx.Done():
			return
		case j := <-s.ended:
			if j.failure() != nil && s.together {
				return
			}
		}
	}
}

// nameFailure says whose error it is.
func nameFailure(name string, err error) error {
	return fmt.Errorf("job %s failed: %w", shown.Quote(name), err)
}
