package subscription

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/shown"
)

// healthTimeout bounds how long Healthy asks the database.
const healthTimeout = 5 * time.Second

// ErrUnhealthy says that not all is well with what a Runner runs. See UnhealthyError.
var ErrUnhealthy = errors.New("a subscription does not run, or is behind")

// ProblemKind is a way for a job not to be well.
type ProblemKind string

const (
	// ProblemNotRunning says that the Runner does not run, or the job ended without an error.
	ProblemNotRunning ProblemKind = "not running"
	// ProblemGivenUp says that the job failed for good.
	ProblemGivenUp ProblemKind = "given up"
	// ProblemRestarting says that the job failed, and is run again after a pause.
	ProblemRestarting ProblemKind = "restarting"
	// ProblemStuck says that a shard lags, and its handler keeps failing on an event.
	ProblemStuck ProblemKind = "stuck"
	// ProblemLagging says that a shard lags; its state says whether anybody works on it.
	ProblemLagging ProblemKind = "lagging"
	// ProblemUnknown says that it could not be found out how far the job is, as when the database is away.
	ProblemUnknown ProblemKind = "unknown"
)

// Problem is one thing that is not well with what a Runner runs.
type Problem struct {
	// Kind is what is wrong, and Job with which job.
	Kind ProblemKind
	Job  string
	// Lag is that of the shard, for ProblemStuck and ProblemLagging; else the zero value.
	Lag ShardLag
	// Err is why the job does not run, or why nothing is known of it; else nil.
	Err error
}

// String says it in one line.
func (p Problem) String() string {
	name := shown.Quote(p.Job)
	switch p.Kind {
	case ProblemNotRunning:
		return name + " does not run"
	case ProblemGivenUp:
		return fmt.Sprintf("%s failed for good: %v", name, p.Err)
	case ProblemRestarting:
		return fmt.Sprintf("%s failed and will be restarted: %v", name, p.Err)
	case ProblemStuck:
		return fmt.Sprintf("%s, shard %d of %d, is stuck on the event at position %d since %s, %s behind: %s", name, p.Lag.Shard, p.Lag.Shards,
			p.Lag.FailingPosition, p.Lag.FailingSince.Format(time.RFC3339), p.Lag.Age.Round(time.Millisecond), p.Lag.LastError)
	case ProblemLagging:
		return fmt.Sprintf("%s, shard %d of %d (%s), is %s and %d events behind", name, p.Lag.Shard, p.Lag.Shards, p.Lag.State,
			p.Lag.Age.Round(time.Millisecond), p.Lag.Events)
	}
	return fmt.Sprintf("%s: %v", name, p.Err)
}

// UnhealthyError says what is not well with what a Runner runs.
type UnhealthyError struct {
	// Problems are at least one, in order of Runner.Jobs and of their shards.
	Problems []Problem
}

// Error says all of it, a line for each.
func (e *UnhealthyError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Is matches ErrUnhealthy.
func (e *UnhealthyError) Is(target error) bool { return target == ErrUnhealthy }

// Unwrap gives the errors of the problems.
func (e *UnhealthyError) Unwrap() []error {
	var errs []error
	for _, p := range e.Problems {
		if p.Err != nil {
			errs = append(errs, p.Err)
		}
	}
	return errs
}

// Healthy returns nil if all jobs run and none of their shards, by whichever process, has an event that has been waiting for longer than
// maxLag; else an *UnhealthyError that says which do not and have, and why. It asks the database for each job, 5 seconds at most in all. It is for
// an HTTP handler that answers whether the process is well; one that asks whether to restart the process is better off
// without, since a database that is away is no better after a restart.
func (r *Runner) Healthy(ctx context.Context, maxLag time.Duration) error {
	if maxLag < 0 {
		return invalid.Value("maxLag", maxLag.String(), "0s or more")
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r.mu.Lock()
	running, jobs := r.running, r.jobs
	r.mu.Unlock()
	var problems []Problem
	if !running {
		for _, job := range r.Jobs {
			problems = append(problems, Problem{Kind: ProblemNotRunning, Job: job.Name()})
		}
		if len(problems) == 0 {
			problems = []Problem{{Kind: ProblemNotRunning}}
		}
		return &UnhealthyError{Problems: problems}
	}
	for _, j := range jobs {
		problems = append(problems, j.problems(ctx, maxLag)...)
	}
	if len(problems) > 0 {
		return &UnhealthyError{Problems: problems}
	}
	return nil
}

// problems are those of one job.
func (j *supervised) problems(ctx context.Context, maxLag time.Duration) []Problem {
	name := j.job.Name()
	switch state, err := j.get(); {
	case state == jobEnded && err != nil:
		return []Problem{{Kind: ProblemGivenUp, Job: name, Err: err}}
	case state == jobEnded:
		return []Problem{{Kind: ProblemNotRunning, Job: name}}
	case state == jobWaits:
		return []Problem{{Kind: ProblemRestarting, Job: name, Err: err}}
	}
	lags, err := j.job.Lag(ctx)
	if err != nil {
		return []Problem{{Kind: ProblemUnknown, Job: name, Err: err}}
	}
	var problems []Problem
	for _, lag := range lags {
		switch {
		case lag.Age <= maxLag:
		case lag.FailingSince.IsZero():
			problems = append(problems, Problem{Kind: ProblemLagging, Job: name, Lag: lag})
		default:
			problems = append(problems, Problem{Kind: ProblemStuck, Job: name, Lag: lag})
		}
	}
	return problems
}
