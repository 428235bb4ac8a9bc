package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	appendTen  = 10
	appendMany = 5
)

// prepareNew compares the first event of a new stream.
func prepareNew(_ context.Context, s *store) ([]side, error) {
	raw := func(ctx context.Context) (int, error) {
		fresh, err := newStream("order-" + uuid.NewString())
		if err != nil {
			return 0, err
		}
		return insertNext(ctx, s.raw, fresh)
	}
	gapless := func(ctx context.Context) (int, error) {
		fresh := &stream{id: eventstream.StreamID("order-" + uuid.NewString())}
		return s.append(ctx, fresh, eventstream.Empty, 1)
	}
	return s.both(func(int) call { return raw }, func(int) call { return gapless },
		counts(s.raw, countBare, 0), counts(s.gapless, countGapless, 0)), nil
}

// prepareExisting compares one more event for a stream of the caller's own.
func prepareExisting(ctx context.Context, s *store) ([]side, error) {
	return s.prepareOwn(ctx,
		func(ctx context.Context, own *streams) (int, error) { return insertNext(ctx, s.raw, own.next()) },
		func(ctx context.Context, own *streams) (int, error) { return s.appendExact(ctx, own.next(), 1) })
}

// prepareTen compares ten events for one stream at once.
func prepareTen(ctx context.Context, s *store) ([]side, error) {
	raw := func(ctx context.Context, own *streams) (n int, err error) {
		var c columns
		to := own.next()
		for i := range appendTen {
			if err := c.add(to, i); err != nil {
				return 0, err
			}
		}
		n, err = c.insert(ctx, s.raw)
		to.version += int64(n)
		return n, err
	}
	return s.prepareOwn(ctx, raw,
		func(ctx context.Context, own *streams) (int, error) { return s.appendExact(ctx, own.next(), appendTen) })
}

// prepareMany compares an event for each of several streams, all or nothing.
func prepareMany(ctx context.Context, s *store) ([]side, error) {
	raw := func(ctx context.Context, own *streams) (int, error) {
		var c columns
		targets := own.several()
		for _, to := range targets {
			if err := c.add(to, 0); err != nil {
				return 0, err
			}
		}
		n, err := c.insert(ctx, s.raw)
		return n, moved(targets, err)
	}
	gapless := func(ctx context.Context, own *streams) (int, error) {
		targets := own.several()
		requests := make([]eventstream.AppendRequest, len(targets))
		for i, to := range targets {
			events, err := newEvents(1)
			if err != nil {
				return 0, err
			}
			requests[i] = eventstream.AppendRequest{StreamID: to.id, Expected: eventstream.Exact(to.version), Events: events}
		}
		results, err := s.repo.AppendMany(ctx, requests...)
		return len(results), moved(targets, err)
	}
	return s.prepareOwn(ctx, raw, gapless)
}

// prepareOwn gives each caller streams of its own, with one event each.
func (s *store) prepareOwn(ctx context.Context, raw, gapless func(context.Context, *streams) (int, error)) ([]side, error) {
	total := s.callers * s.sizes.streams
	if err := s.seed(ctx, total, 1); err != nil {
		return nil, err
	}
	own := func(do func(context.Context, *streams) (int, error)) func(int) call {
		return func(caller int) call {
			mine := streamsOf(caller, s.sizes.streams, 1)
			return func(ctx context.Context) (int, error) { return do(ctx, mine) }
		}
	}
	return s.both(own(raw), own(gapless), counts(s.raw, countBare, total), counts(s.gapless, countGapless, total)), nil
}

// several gives the streams of one AppendMany.
func (s *streams) several() []*stream {
	some := make([]*stream, appendMany)
	for i := range some {
		some[i] = s.next()
	}
	return some
}

// moved notes that each stream has one event more.
func moved(targets []*stream, err error) error {
	if err == nil {
		for _, to := range targets {
			to.version++
		}
	}
	return err
}

// appendExact adds events to a stream whose version its one writer knows.
func (s *store) appendExact(ctx context.Context, to *stream, n int) (int, error) {
	return s.append(ctx, to, eventstream.Exact(to.version), n)
}

func (s *store) append(ctx context.Context, to *stream, expected eventstream.Expected, n int) (int, error) {
	events, err := newEvents(n)
	if err != nil {
		return 0, err
	}
	result, err := s.repo.Append(ctx, to.id, expected, events...)
	if err != nil {
		return 0, err
	}
	if result.Duplicate || result.LastVersion != to.version+int64(n) {
		return 0, fmt.Errorf("stream %s: %d events on version %d gave %+v", to.id, n, to.version, result)
	}
	to.version = result.LastVersion
	return n, nil
}

// newEvents makes events as an application does.
func newEvents(n int) ([]eventstream.Event, error) {
	events := make([]eventstream.Event, n)
	for i := range events {
		var err error
		if events[i], err = eventstream.NewEvent(eventType, json.RawMessage(payload)); err != nil {
			return nil, err
		}
	}
	return events, nil
}
