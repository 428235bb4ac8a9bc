package reading

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/bench/internal/report"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// longestPause between two events that a latency is measured on.
const longestPause = 100 * time.Millisecond

// latencyCase says who appends.
type latencyCase struct {
	name, subscription string
	another, notify    bool
}

// measureLatency measures from the return of an append to the call of the handler, one event at a time, a random pause of up to a
// tenth of a second between two.
func (b *benchmark) measureLatency(ctx context.Context) error {
	t := report.Table{
		Title:   fmt.Sprintf("Latency from the return of Append to the handler, %d events", b.samples),
		Columns: []string{"writer", "p50 ms", "p99 ms", "max ms"},
	}
	for _, c := range []latencyCase{
		{"same process", "latency.same", false, false},
		{"another process, polling", "latency.another", true, false},
		{"another process, with NOTIFY", "latency.notify", true, true},
	} {
		took, err := b.measureOneLatency(ctx, c)
		if err != nil {
			return err
		}
		slices.Sort(took)
		at := func(share float64) float64 { return report.Milliseconds(report.Quantile(took, share)) }
		b.results = append(b.results, result{Case: "latency/" + c.name, P50: at(0.5), P99: at(0.99)})
		t.Add(c.name, report.Number(at(0.5), 2), report.Number(at(0.99), 2), report.Number(at(1), 2))
	}
	b.tables = append(b.tables, t)
	return nil
}

func (b *benchmark) measureOneLatency(ctx context.Context, c latencyCase) ([]time.Duration, error) {
	config := &eventstream.Config{Notify: c.notify}
	reader, err := b.newProcess(ctx, "bench reader", config)
	if err != nil {
		return nil, err
	}
	defer reader.pool.Close()
	writer := reader
	if c.another {
		if writer, err = b.newProcess(ctx, "bench writer", config); err != nil {
			return nil, err
		}
		defer writer.pool.Close()
	}
	arrived := make(chan time.Time, 1)
	handler := subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error {
		arrived <- time.Now()
		return nil
	})
	stop, err := b.start(ctx, reader.repo, c.subscription, handler)
	if err != nil {
		return nil, err
	}
	defer stop()
	if c.another && c.notify {
		// NOTIFY is sent by a poller, so the writer runs a subscription too.
		idle := subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil })
		stop, err := b.start(ctx, writer.repo, c.subscription+".writer", idle)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	return b.appendAndWait(ctx, writer.repo, arrived)
}

// appendAndWait appends one event after the other, and says how long after the return of Append each arrived.
func (b *benchmark) appendAndWait(
	ctx context.Context, writer *eventstream.Repository, arrived <-chan time.Time,
) ([]time.Duration, error) {
	var took []time.Duration
	for range b.samples {
		events, err := baseline.NewEvents(1)
		if err != nil {
			return nil, err
		}
		if _, err := writer.Append(ctx, "latency-1", eventstream.Any, events...); err != nil {
			return nil, err
		}
		committed := time.Now()
		select {
		case at := <-arrived:
			took = append(took, at.Sub(committed))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		time.Sleep(rand.N(longestPause))
	}
	return took, nil
}
