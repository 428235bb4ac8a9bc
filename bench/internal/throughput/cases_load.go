package throughput

import (
	"context"
	"fmt"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/eventstream"
)

// shortLoad is how many events the streams of case load100 have.
const shortLoad = 100

// prepareLoad100 compares bringing short streams into memory.
func prepareLoad100(ctx context.Context, s *store) ([]side, error) {
	return s.prepareLoad(ctx, 10, shortLoad)
}

// prepareLoadLong compares bringing a long stream into memory.
func prepareLoadLong(ctx context.Context, s *store) ([]side, error) {
	return s.prepareLoad(ctx, 1, s.sizes.longLoad)
}

// prepareLoad gives each caller streams of its own. Both sides read the same ones.
func (s *store) prepareLoad(ctx context.Context, each, events int) ([]side, error) {
	if err := s.Seed(ctx, s.callers*each, events, s.sizes.growLimit); err != nil {
		return nil, err
	}
	raw := func(caller int) call {
		own := baseline.SeededStreams(caller, each, int64(events))
		return func(ctx context.Context) (int, error) {
			loaded, err := baseline.SelectStream(ctx, s.Raw, own.Next().ID)
			return all(len(loaded), events, err)
		}
	}
	gapless := func(caller int) call { return s.load(baseline.SeededStreams(caller, each, int64(events))) }
	return s.both(raw, gapless, unchanged, unchanged), nil
}

// load brings streams into memory in turn.
func (s *store) load(own *baseline.Streams) call {
	return func(ctx context.Context) (int, error) {
		from := own.Next()
		loaded, err := s.Repo.Load(ctx, from.ID)
		if err != nil {
			return 0, err
		}
		return all(loaded.EventCount(), int(from.Version), nil)
	}
}

// prepareLog compares going through the events of all streams.
func prepareLog(ctx context.Context, s *store) ([]side, error) {
	const each = 10
	streams := max(s.sizes.log/each, 1)
	if err := s.Seed(ctx, streams, each, s.sizes.growLimit); err != nil {
		return nil, err
	}
	raw := func(ctx context.Context) (int, error) {
		n, err := baseline.SelectLog(ctx, s.Raw)
		return all(n, streams*each, err)
	}
	gapless := func(ctx context.Context) (n int, err error) {
		for _, err := range s.Repo.ReadLog(ctx, eventstream.LogOptions{}) {
			if err != nil {
				return n, err
			}
			n++
		}
		return all(n, streams*each, nil)
	}
	return s.both(func(int) call { return raw }, func(int) call { return gapless }, unchanged, unchanged), nil
}

// all makes sure that a reader got everything.
func all(n, want int, err error) (int, error) {
	if err == nil && n != want {
		err = fmt.Errorf("%d events read of %d", n, want)
	}
	return n, err
}
