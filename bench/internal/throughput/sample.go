package throughput

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/bench/internal/rounds"
)

// call does once what a case is about, and says how many events that were. It returns an error unless it did all of it.
type call func(ctx context.Context) (events int, err error)

// side is one of the ways that are compared.
type side struct {
	name string
	// calls has one for each caller, which remembers what that caller knows.
	calls []call
	// check compares the store with what the calls acknowledged.
	check func(ctx context.Context, acknowledged int64) error
}

// sample is what the callers of a side did in a stretch of time.
type sample struct {
	events    int
	took      time.Duration
	latencies []time.Duration
}

// take lets all callers of a side call until the time is up. A call that has begun is completed, and counts.
func (s side) take(ctx context.Context, duration time.Duration) (sample, error) {
	parts := make([]sample, len(s.calls))
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for i, c := range s.calls {
		group.Go(func() (err error) {
			parts[i], err = repeat(ctx, c, start.Add(duration))
			return err
		})
	}
	err := group.Wait()
	all := sample{took: time.Since(start)}
	for _, part := range parts {
		all.events += part.events
		all.latencies = append(all.latencies, part.latencies...)
	}
	return all, err
}

// repeat calls at least once.
func repeat(ctx context.Context, c call, end time.Time) (s sample, err error) {
	for now := time.Now(); len(s.latencies) == 0 || now.Before(end); {
		n, err := c(ctx)
		if err != nil {
			return s, err
		}
		done := time.Now()
		s.events += n
		s.latencies = append(s.latencies, done.Sub(now))
		now = done
	}
	return s, nil
}

// measure takes a sample of each side in each of n rounds, and then checks what they did. It returns samples[side][round].
func measure(ctx context.Context, sides []side, n int, duration time.Duration) ([][]sample, error) {
	samples := make([][]sample, len(sides))
	acknowledged := make([]int64, len(sides))
	err := rounds.InTurn(1+n, len(sides), func(round, i int) error {
		take := sides[i].take
		if round == 0 {
			take = sides[i].warmUp
		}
		taken, err := take(ctx, duration)
		if err != nil {
			return fmt.Errorf("%s: %w", sides[i].name, err)
		}
		acknowledged[i] += int64(taken.events)
		if round > 0 {
			samples[i] = append(samples[i], taken)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, s := range sides {
		if err := s.check(ctx, acknowledged[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return samples, nil
}

const (
	// warmCalls of each caller are enough for PostgreSQL to settle on its plans, which happens after five, on every connection.
	warmCalls = 20
	// warmLimit in samples is for calls so long that a connection's first ones make no difference.
	warmLimit = 8
)

// warmUp opens connections and caches plans, which counts for nothing but the check.
func (s side) warmUp(ctx context.Context, duration time.Duration) (warm sample, err error) {
	for start := time.Now(); ; {
		more, err := s.take(ctx, duration)
		if err != nil {
			return warm, err
		}
		warm.events += more.events
		warm.latencies = append(warm.latencies, more.latencies...)
		if len(warm.latencies) >= warmCalls*len(s.calls) || time.Since(start) >= warmLimit*duration {
			return warm, nil
		}
	}
}
