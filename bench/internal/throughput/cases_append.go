package throughput

import (
	"context"
	"fmt"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	appendTen  = 10
	appendMany = 5
)

// prepareNew compares the first event of a new stream.
func prepareNew(_ context.Context, s *store) ([]side, error) {
	raw := func(ctx context.Context) (int, error) {
		return baseline.Bare().InsertNext(ctx, s.Raw, 1, baseline.NewStream())
	}
	gapless := func(ctx context.Context) (int, error) {
		return s.append(ctx, baseline.NewStream(), eventstream.Empty, 1)
	}
	return s.both(func(int) call { return raw }, func(int) call { return gapless },
		counts(s.Raw, countBare, 0), counts(s.Gapless, countGapless, 0)), nil
}

// prepareExisting compares one more event for a stream of the caller's own.
func prepareExisting(ctx context.Context, s *store) ([]side, error) {
	return s.prepareOwn(ctx, s.insertTo(1, 1),
		func(ctx context.Context, own *baseline.Streams) (int, error) {
			return s.appendExact(ctx, own.Next(), 1)
		})
}

// prepareTen compares ten events for one stream at once.
func prepareTen(ctx context.Context, s *store) ([]side, error) {
	return s.prepareOwn(ctx, s.insertTo(1, appendTen),
		func(ctx context.Context, own *baseline.Streams) (int, error) {
			return s.appendExact(ctx, own.Next(), appendTen)
		})
}

// prepareMany compares an event for each of several streams, all or nothing.
func prepareMany(ctx context.Context, s *store) ([]side, error) {
	gapless := func(ctx context.Context, own *baseline.Streams) (int, error) {
		targets := own.Several(appendMany)
		requests := make([]eventstream.AppendRequest, len(targets))
		for i, to := range targets {
			events, err := baseline.NewEvents(1)
			if err != nil {
				return 0, err
			}
			requests[i] = eventstream.AppendRequest{StreamID: to.ID, Expected: eventstream.Exact(to.Version), Events: events}
		}
		results, err := s.Repo.AppendMany(ctx, requests...)
		if err != nil {
			return 0, err
		}
		for _, to := range targets {
			to.Version++
		}
		return len(results), nil
	}
	return s.prepareOwn(ctx, s.insertTo(appendMany, 1), gapless)
}

// insertTo writes so many events to each of the caller's next streams, by one INSERT.
func (s *store) insertTo(streams, events int) func(context.Context, *baseline.Streams) (int, error) {
	return func(ctx context.Context, own *baseline.Streams) (int, error) {
		return baseline.Bare().InsertNext(ctx, s.Raw, events, own.Several(streams)...)
	}
}

// prepareOwn gives each caller streams of its own, with one event each.
func (s *store) prepareOwn(ctx context.Context, raw, gapless func(context.Context, *baseline.Streams) (int, error)) ([]side, error) {
	total := s.callers * s.sizes.streams
	if err := s.Seed(ctx, total, 1, s.sizes.growLimit); err != nil {
		return nil, err
	}
	own := func(do func(context.Context, *baseline.Streams) (int, error)) func(int) call {
		return func(caller int) call {
			mine := baseline.SeededStreams(caller, s.sizes.streams, 1)
			return func(ctx context.Context) (int, error) { return do(ctx, mine) }
		}
	}
	return s.both(own(raw), own(gapless), counts(s.Raw, countBare, total), counts(s.Gapless, countGapless, total)), nil
}

// appendExact adds events to a stream whose version its one writer knows.
func (s *store) appendExact(ctx context.Context, to *baseline.Stream, n int) (int, error) {
	return s.append(ctx, to, eventstream.Exact(to.Version), n)
}

func (s *store) append(ctx context.Context, to *baseline.Stream, expected eventstream.Expected, n int) (int, error) {
	events, err := baseline.NewEvents(n)
	if err != nil {
		return 0, err
	}
	result, err := s.Repo.Append(ctx, to.ID, expected, events...)
	if err != nil {
		return 0, err
	}
	if result.Duplicate || result.LastVersion != to.Version+int64(n) {
		return 0, fmt.Errorf("stream %s: %d events on version %d gave %+v", to.ID, n, to.Version, result)
	}
	to.Version = result.LastVersion
	return n, nil
}
