package throughput

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/bench/internal/database"
)

// A grown store has a tenth of its events in streams of longStream, the rest in streams of shortStream.
const (
	shortStream = 10
	longStream  = shortLoad
	// growthCallers append to all streams of the store, each to its own part.
	growthCallers = 16
	// minGrowth leaves a stream for each caller.
	minGrowth = 1000
)

// grown is a store of a certain size.
type grown struct {
	*store
	size        int
	short, long int // streams of either kind; the long ones have the lower numbers
}

// measureGrowth compares what the same calls cost in stores of different sizes. Stores exist side by side, and a round goes through all
// of them.
func (b *benchmark) measureGrowth(ctx context.Context) (err error) {
	if !b.wants(growthName) || len(b.growth) == 0 {
		return nil
	}
	var stores []*grown
	for _, size := range b.growth {
		g, drop, failed := b.grow(ctx, size)
		if failed != nil {
			return fmt.Errorf("a store of %d events: %w", size, failed)
		}
		defer func() { err = errors.Join(err, drop()) }()
		stores = append(stores, g)
	}
	for _, part := range []struct {
		name    string
		callers int
		side    func(*grown) side
	}{{"append", growthCallers, (*grown).appends}, {"raw", growthCallers, (*grown).raws}, {"load", 1, (*grown).loads}} {
		sides := make([]side, len(stores))
		for i, g := range stores {
			sides[i] = part.side(g)
		}
		samples, err := measure(ctx, sides, b.rounds, b.duration)
		if err != nil {
			return fmt.Errorf("growth-%s: %w", part.name, err)
		}
		for i, g := range stores {
			measured := summarize(fmt.Sprintf("growth-%s-%d", part.name, g.size), part.callers, samples[0], samples[i])
			measured.grown = true
			b.results = append(b.results, measured)
			fmt.Fprintln(b.log, measured)
		}
	}
	return nil
}

// grow makes a store of a size, and beside it a table without rules that has the same events.
func (b *benchmark) grow(ctx context.Context, size int) (*grown, func() error, error) {
	start := time.Now()
	s, drop, err := b.open(ctx, growthCallers)
	if err != nil {
		return nil, nil, err
	}
	g := &grown{store: s, size: size, long: max(size/10/longStream, 1)}
	g.short = (size - g.long*longStream) / shortStream
	for _, seed := range []baseline.Seed{
		{First: 1, Last: g.long, Events: longStream, Limit: s.sizes.growLimit},
		{First: g.long + 1, Last: g.long + g.short, Events: shortStream, Limit: s.sizes.growLimit},
	} {
		err = errors.Join(err, seed.Fill(ctx, s.Gapless), seed.FillBare(ctx, s.Raw))
	}
	if err == nil {
		err = database.Vacuum(ctx, s.Gapless)
	}
	if err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	fmt.Fprintf(b.log, "a store of %d events (%.1f s)\n", size, time.Since(start).Seconds())
	return g, drop, nil
}

// appends is case append1-existing, on all streams of the store.
func (g *grown) appends() side {
	return g.toOwn(counts(g.Gapless, countGapless, g.events()), func(ctx context.Context, own *baseline.Streams) (int, error) {
		return g.appendExact(ctx, own.Next(), 1)
	})
}

// raws is its plain side: what a table without rules loses as it grows.
func (g *grown) raws() side { return g.toOwn(counts(g.Raw, countBare, g.events()), g.insertTo(1, 1)) }

func (g *grown) events() int { return g.long*longStream + g.short*shortStream }

// toOwn gives each caller its part of the short streams.
func (g *grown) toOwn(check check, do func(context.Context, *baseline.Streams) (int, error)) side {
	s := side{name: fmt.Sprintf("%d events", g.size), check: check}
	for caller := range growthCallers {
		own := &baseline.Streams{}
		for n := caller; n < g.short; n += growthCallers {
			own.Add(baseline.SeededStream(g.long+1+n, shortStream))
		}
		s.calls = append(s.calls, func(ctx context.Context) (int, error) { return do(ctx, own) })
	}
	return s
}

// loads is case load100, on all streams of that length.
func (g *grown) loads() side {
	return side{
		name: fmt.Sprintf("%d events", g.size), check: unchanged,
		calls: []call{g.load(baseline.SeededStreams(0, g.long, longStream))},
	}
}
