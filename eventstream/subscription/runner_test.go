package subscription_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// fakeJob runs until its context ends, or until it has gone through what ends it.
type fakeJob struct {
	name string
	// fails are the errors that one Run after the other ends with, each after a while.
	fails []error
	lasts time.Duration
	lag   func() ([]subscription.ShardLag, error)
	// mayStop is closed when it may come to an end after its context has; nil lets it at once.
	mayStop <-chan struct{}
	leave   bool
	log     *journal

	runs int
}

// journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (l *journal) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (j *fakeJob) Name() string { return j.name }

func (j *fakeJob) Run(ctx context.Context) error {
	j.runs++
	if j.leave {
		runtime.Goexit()
	}
	if j.runs <= len(j.fails) {
		<-time.After(j.lasts) // on a synctest's clock
		return j.fails[j.runs-1]
	}
	<-ctx.Done()
	if j.mayStop != nil {
		j.log.add("%s was told to", j.name)
		<-j.mayStop
	}
	if j.log != nil {
		j.log.add("%s stopped", j.name)
	}
	return ctx.Err() // as one that does not know better
}

func (j *fakeJob) Lag(context.Context) ([]subscription.ShardLag, error) {
	if j.lag == nil {
		return nil, nil
	}
	return j.lag()
}

var (
	errAway = &pgconn.PgError{Code: "57P01", Message: "the database is away"}
	errGood = errors.New("for good")
)

// told is an observer that notes restarts and what is given up, with the seconds since it was made.
func told(log *journal) subscription.Observer {
	began := time.Now()
	return func(o subscription.Observation) {
		at := time.Since(began).Seconds()
		switch o := o.(type) {
		case subscription.RunRestarts:
			log.add("%g s: %s restarts (%d) after %s: %v", at, o.Subscription, o.Restarts, o.After, o.Err)
		case subscription.RunGivenUp:
			log.add("%g s: %s given up: %v", at, o.Subscription, o.Err)
		}
	}
}

// runFor runs a runner, looks at it after a while, and stops it.
func runFor(t *testing.T, r *subscription.Runner, d time.Duration, look func()) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	time.Sleep(d)
	synctest.Wait()
	if look != nil {
		look()
	}
	cancel()
	return <-ended
}

// One that may be restarted is, after pauses that grow and begin anew after a run that lasted; the observer is told each time.
func TestRunnerRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		job := &fakeJob{name: "reader", fails: []error{errAway, errAway, errAway, errAway}}
		lasting := &fakeJob{name: "lasting", fails: []error{errAway, errAway}, lasts: time.Hour}
		r := &subscription.Runner{
			Jobs: []subscription.Job{job, lasting}, MinBackoff: time.Second, MaxBackoff: 3 * time.Second, Observer: told(log),
		}
		require.NoError(t, runFor(t, r, 3*time.Hour, func() {
			require.NoError(t, r.Healthy(t.Context(), 0))
			require.Equal(t, []int{5, 3}, []int{job.runs, lasting.runs})
		}))
		cause := errAway.Error()
		require.Equal(t, []string{
			"0 s: reader restarts (1) after 1s: " + cause, "1 s: reader restarts (2) after 2s: " + cause,
			"3 s: reader restarts (3) after 3s: " + cause, "6 s: reader restarts (4) after 3s: " + cause,
			"3600 s: lasting restarts (1) after 1s: " + cause, "7201 s: lasting restarts (2) after 1s: " + cause,
		}, log.lines)
	})
}

// What is restarted is the caller's to say, and the pauses are a second to a minute unless they are.
func TestRunnerAsksTheCallerWhatToRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		fails := []error{errGood, errGood, errGood, errGood, errGood, errGood, errGood, errGood, errAway}
		r := &subscription.Runner{
			Jobs: []subscription.Job{&fakeJob{name: "reader", fails: fails}}, Observer: told(log),
			Restart: func(err error) bool { return errors.Is(err, errGood) },
		}
		require.ErrorIs(t, r.Run(t.Context()), errAway, "at once, since nothing is left to run")
		require.Len(t, log.lines, 9)
		require.Equal(t, []string{
			"0 s: reader restarts (1) after 1s: for good", "63 s: reader restarts (7) after 1m0s: for good",
			"123 s: reader restarts (8) after 1m0s: for good", "183 s: reader given up: " + errAway.Error(),
		}, []string{log.lines[0], log.lines[6], log.lines[7], log.lines[8]})
	})
}

// One that fails for good leaves the others alone, and Run says so in the end.
func TestRunnerLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		bad := &fakeJob{name: "bad", fails: []error{errGood}, lasts: time.Minute}
		left := &fakeJob{name: "left", leave: true}
		fine := &fakeJob{name: "fine", log: log}
		r := &subscription.Runner{Jobs: []subscription.Job{bad, fine, left}, Observer: told(log)}
		err := runFor(t, r, time.Hour, func() {
			require.Equal(t, []string{"0 s: left given up: " + subscription.ErrHandlerExited.Error(), "60 s: bad given up: for good"}, log.lines)
			require.Equal(t, 1, bad.runs)
		})
		require.ErrorIs(t, err, errGood)
		require.ErrorIs(t, err, subscription.ErrHandlerExited)
		require.ErrorContains(t, err, `job "bad" failed: for good`)
		require.NotContains(t, err.Error(), "fine")
		require.Equal(t, "fine stopped", log.lines[2])
	})
}

// Told to, it stops all when one has failed for good; and it returns by itself once all have ended.
func TestRunnerStopsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, stopped := &journal{}, &journal{} // what is told may be told later than it was
		bad := &fakeJob{name: "bad", fails: []error{errAway, errGood}, lasts: time.Minute}
		done := &fakeJob{name: "done", fails: []error{nil}}
		fine := &fakeJob{name: "fine", log: stopped}
		r := &subscription.Runner{Jobs: []subscription.Job{done, bad, fine}, StopTogether: true, Observer: told(log)}
		require.ErrorIs(t, r.Run(t.Context()), errGood)
		require.Equal(t, []string{
			"60 s: bad restarts (1) after 1s: " + errAway.Error(), "121 s: bad given up: for good",
		}, log.lines)
		require.Equal(t, []string{"fine stopped"}, stopped.lines)

		r = &subscription.Runner{Jobs: []subscription.Job{
			&fakeJob{name: "one", fails: []error{errGood}}, &fakeJob{name: "two", fails: []error{nil}},
		}, Observer: told(log)}
		require.ErrorIs(t, r.Run(t.Context()), errGood, "nothing is left to run")
	})
}

// The last one stops first, and the next one is told to once it has ended; one that waits for its restart stops at once. Run waits for all.
func TestRunnerStopsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, mayStop := &journal{}, make(chan struct{})
		jobs := []subscription.Job{}
		for i := range 5 {
			jobs = append(jobs, &fakeJob{name: fmt.Sprint(i), mayStop: mayStop, log: log})
		}
		jobs[3].(*fakeJob).fails = []error{errAway}
		r := &subscription.Runner{Jobs: jobs, MinBackoff: time.Hour, Observer: told(&journal{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		cancel()
		var want []string
		for _, job := range []string{"4", "2", "1", "0"} {
			synctest.Wait()
			require.Empty(t, ended)
			want = append(want, job+" was told to")
			require.Equal(t, want, log.lines)
			mayStop <- struct{}{}
			want = append(want, job+" stopped")
		}
		require.NoError(t, <-ended)
		require.Equal(t, want, log.lines)

		close(mayStop)
		require.NoError(t, runFor(t, r, time.Minute, nil), "a second time")
	})
}

// Health says which job does not run, which shard is stuck and which lags, with what is known of it.
func TestRunnerHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		since := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
		stuck := subscription.ShardLag{
			Shard: 1, Shards: 2, Age: time.Hour, State: subscription.ShardOwned, FailingSince: since, FailingPosition: 7, LastError: "cannot digest it",
		}
		lagging := subscription.ShardLag{Shards: 2, Age: time.Minute + 1, Events: 9, State: subscription.ShardFree}
		fine := subscription.ShardLag{Shards: 1, Age: time.Minute, FailingSince: since}
		lags := func(lags ...subscription.ShardLag) func() ([]subscription.ShardLag, error) {
			return func() ([]subscription.ShardLag, error) { return lags, nil }
		}
		r := &subscription.Runner{Observer: told(&journal{}), Jobs: []subscription.Job{
			&fakeJob{name: "fine", lag: lags(fine)},
			&fakeJob{name: "slow", lag: lags(lagging, stuck)},
			&fakeJob{name: "away", fails: []error{errAway}},
			&fakeJob{name: "bad", fails: []error{errGood}},
			&fakeJob{name: "done", fails: []error{nil}},
			&fakeJob{name: "blind", lag: func() ([]subscription.ShardLag, error) { return nil, io.ErrUnexpectedEOF }},
		}}
		require.ErrorContains(t, r.Healthy(t.Context(), time.Minute), `"fine" does not run`, "before Run")
		require.ErrorIs(t, (&subscription.Runner{}).Healthy(t.Context(), 0), subscription.ErrUnhealthy)
		require.ErrorIs(t, r.Healthy(t.Context(), -1), eventstream.ErrInvalidValue)
		err := runFor(t, r, time.Millisecond, func() {
			err := r.Healthy(t.Context(), time.Minute)
			var unhealthy *subscription.UnhealthyError
			require.ErrorAs(t, err, &unhealthy)
			require.ErrorIs(t, err, subscription.ErrUnhealthy)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, []subscription.Problem{
				{Kind: subscription.ProblemLagging, Job: "slow", Lag: lagging},
				{Kind: subscription.ProblemStuck, Job: "slow", Lag: stuck},
				{Kind: subscription.ProblemRestarting, Job: "away", Err: errAway},
				{Kind: subscription.ProblemGivenUp, Job: "bad", Err: errGood},
				{Kind: subscription.ProblemNotRunning, Job: "done"},
				{Kind: subscription.ProblemUnknown, Job: "blind", Err: io.ErrUnexpectedEOF},
			}, unhealthy.Problems)
			require.Equal(t, `"slow", shard 0 of 2 (free), is 1m0s and 9 events behind
"slow", shard 1 of 2, is stuck on the event at position 7 since 2026-11-26T08:00:00Z, 1h0m0s behind: cannot digest it
"away" failed and will be restarted: `+errAway.Error()+`
"bad" failed for good: for good
"done" does not run
"blind": unexpected EOF`, err.Error())
		})
		require.ErrorIs(t, err, errGood)
		require.ErrorIs(t, r.Healthy(t.Context(), time.Minute), subscription.ErrUnhealthy, "after Run")
	})
}

func TestRunnerRefuses(t *testing.T) {
	t.Parallel()
	job := &fakeJob{name: "one"}
	for want, r := range map[string]*subscription.Runner{
		`invalid Runner.Jobs "none": must be at least one Job, as a *Subscription or a *Projector`: {},
		`invalid Runner.Jobs[1] "nil": must be a Job, as a *Subscription or a *Projector`:          {Jobs: []subscription.Job{job, nil}},
		`invalid Runner.Jobs[0] "nil": must be a Job, as a *Subscription or a *Projector`:          {Jobs: []subscription.Job{(*subscription.Subscription)(nil)}},
		`invalid Runner.Jobs[1] "one": must be of another name than those before it: run it once in a process`: {
			Jobs: []subscription.Job{job, &fakeJob{name: "one"}},
		},
		`invalid Runner.MinBackoff "-1s": must be 0s or more; 0 means 1s`: {Jobs: []subscription.Job{job}, MinBackoff: -time.Second},
		`invalid Runner.MaxBackoff "1s": must be MinBackoff (2s) or more`: {
			Jobs: []subscription.Job{job}, MinBackoff: 2 * time.Second, MaxBackoff: time.Second,
		},
	} {
		err := r.Run(t.Context())
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
		require.EqualError(t, err, want)
	}
	synctest.Test(t, func(t *testing.T) {
		r := &subscription.Runner{Jobs: []subscription.Job{&fakeJob{name: "one"}}}
		require.NoError(t, runFor(t, r, time.Second, func() { require.ErrorIs(t, r.Run(t.Context()), subscription.ErrRunning) }))
	})
}

// What is worth another try, and what is not.
func TestMayRestart(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		errAway, &subscription.HandlerError{Err: errGood}, eventstream.ErrReadOnly, &eventstream.NotMigratedError{}, io.ErrUnexpectedEOF,
		&subscription.HandlerError{Err: subscription.RetryAfter(errGood, time.Second)}, &subscription.ProjectionMismatchError{},
	} {
		require.True(t, subscription.MayRestart(err), "%v", err)
	}
	for _, err := range []error{
		nil, errGood, &subscription.HandlerError{Err: subscription.Permanent(errGood)}, eventstream.ErrTxEnded, &subscription.MismatchError{},
		&subscription.HandlerStuckError{}, &eventstream.BeyondLogError{}, subscription.ErrHandlerExited,
		subscription.ErrRunning, &subscription.HandlerError{Err: eventstream.ErrTxEnded},
	} {
		require.False(t, subscription.MayRestart(err), "%v", err)
	}
}
