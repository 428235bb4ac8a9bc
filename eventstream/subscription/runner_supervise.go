package subscription

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pause"
)

// supervised is a job in one Run of a Runner.
type supervised struct {
	job    Job
	cancel context.CancelFunc
	done   chan struct{}

	mu sync.Mutex
	// state is running at first, and err why it is not.
	state jobState
	err   error
}

// jobState is what has become of a job.
type jobState int

const (
	jobRuns jobState = iota
	// jobWaits is a job that failed and is run again after a pause.
	jobWaits
	// jobEnded is one that ended, with an error or without.
	jobEnded
)

func (j *supervised) set(state jobState, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state, j.err = state, err
}

func (j *supervised) get() (jobState, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state, j.err
}

// failure is why the job ended for good; nil if it did not, or did well.
func (j *supervised) failure() error {
	state, err := j.get()
	if state != jobEnded {
		return nil
	}
	return err
}

// supervise runs a job, again and again while that may help.
func (s *supervision) supervise(ctx context.Context, j *supervised) {
	defer func() {
		if state, _ := j.get(); state != jobEnded { // it has left the goroutine by runtime.Goexit
			s.end(j, ErrHandlerExited)
		}
		close(j.done)
		s.ended <- j
	}()
	again := pause.NewBackoff(s.least, s.most)
	for restarts := 1; ; restarts++ {
		j.set(jobRuns, nil)
		began := time.Now()
		err := unlessEnded(ctx, j.job.Run(ctx))
		if err == nil || ctx.Err() != nil || !s.restart(err) {
			s.end(j, err)
			return
		}
		after := again.NextSince(began)
		j.set(jobWaits, err)
		s.told.tell(RunRestarts{Subscription: j.job.Name(), Restarts: restarts, After: after, Err: err})
		if pause.For(ctx, after) != nil {
			s.end(j, nil) // it was told to stop, and does
			return
		}
	}
}

func (s *supervision) end(j *supervised, err error) {
	j.set(jobEnded, err)
	if err != nil {
		s.told.tell(RunGivenUp{Subscription: j.job.Name(), Err: err})
	}
}

// failures are those of all jobs.
func (s *supervision) failures() error {
	var errs []error
	for _, j := range s.jobs {
		if err := j.failure(); err != nil {
			errs = append(errs, nameFailure(j.job.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// MayRestart says whether running again may help after an error that Run of a Subscription or Projector returned: the database was away, or
// read-only as a standby is until it is promoted, or not migrated yet; or a handler failed too often on an event, which may be over by then;
// or the tables of a projection and its checkpoint do not belong together, until somebody requests a rebuild, which the next Run does first.
// It may not after an error that the handler marked as Permanent, where a transaction was ended by a handler, so that a part would be done
// twice, where a handler is still at work, and where the description does not fit what is there.
func MayRestart(err error) bool {
	var marked *markedError
	var failed *HandlerError
	var stuck *HandlerStuckError
	switch {
	case err == nil, errors.As(err, &marked) && marked.permanent, errors.Is(err, eventstream.ErrTxEnded), errors.As(err, &stuck):
		return false
	case errors.As(err, &failed), errors.Is(err, eventstream.ErrReadOnly), errors.Is(err, eventstream.ErrNotMigrated),
		errors.Is(err, ErrProjectionMismatch):
		return true
	}
	return isAway(err)
}
