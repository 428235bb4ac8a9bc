package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
)

// samples is how many events a latency is measured on.
const samples = 300

// measureLatency measures from the return of an append to the call of the handler, one event at a time, a random pause of up to a
// tenth of a second between two.
func measureLatency(ctx context.Context, s *store) error {
	for _, c := range []struct {
		name            string
		another, notify bool
	}{
		{"same process", false, false},
		{"another process, polling", true, false},
		{"another process, with NOTIFY", true, true},
	} {
		if err := measureOneLatency(ctx, s, c.name, c.another, c.notify); err != nil {
			return err
		}
	}
	return nil
}

func measureOneLatency(ctx context.Context, s *store, name string, another, notify bool) error {
	config := &eventstream.Config{Notify: notify}
	pool, reader, err := connect(ctx, s.dsn, "bench reader", config)
	if err != nil {
		return err
	}
	defer pool.Close()
	writer := reader
	if another {
		own, other, err := connect(ctx, s.dsn, "bench writer", config)
		if err != nil {
			return err
		}
		defer own.Close()
		writer = other
	}
	arrived := make(chan time.Time, 1)
	handler := eventstream.EffectHandler(func(context.Context, []eventstream.LogEvent) error {
		arrived <- time.Now()
		return nil
	})
	stop, err := start(ctx, reader, "latency "+fmt.Sprint(another, notify), handler, eventstream.FromLatest)
	if err != nil {
		return err
	}
	defer stop()
	if another && notify {
		// NOTIFY is sent by a poller, so the writer runs a subscription too.
		idle := eventstream.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil })
		stop, err := start(ctx, writer, "writer's own", idle, eventstream.FromLatest)
		if err != nil {
			return err
		}
		defer stop()
	}
	var took []time.Duration
	for i := range samples {
		e, err := eventstream.NewEvent("latency.measured", i)
		if err != nil {
			return err
		}
		if _, err := writer.Append(ctx, "latency-1", eventstream.Any, e); err != nil {
			return err
		}
		committed := time.Now()
		select {
		case at := <-arrived:
			took = append(took, at.Sub(committed))
		case <-ctx.Done():
			return ctx.Err()
		}
		time.Sleep(time.Duration(rand.Int64N(int64(100 * time.Millisecond))))
	}
	fmt.Printf("latency, %-30s p50 %8v   p99 %8v\n", name+":", quantile(took, 0.5).Round(10*time.Microsecond), quantile(took, 0.99).Round(10*time.Microsecond))
	return nil
}

// start runs a subscription, once it owns its shard.
func start(
	ctx context.Context, repo *eventstream.Repository, name string, handler eventstream.Handler, from eventstream.Start,
) (stop func(), err error) {
	s, err := eventstream.NewSubscription(repo, dotted(name), handler, &eventstream.SubscriptionConfig{
		From: from, OnError: func(err error) { fmt.Println("tried again:", err) },
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			fmt.Println("subscription ended:", err)
		}
	}
	for {
		lag, err := s.Lag(ctx)
		if err != nil {
			stop()
			return nil, err
		}
		if len(lag) > 0 && lag[0].State == "owned" {
			return stop, nil
		}
		time.Sleep(time.Millisecond)
	}
}

// dotted makes a name of words.
func dotted(name string) string {
	out := []rune(name)
	for i, r := range out {
		if r == ' ' || r == '\'' || r == ',' {
			out[i] = '.'
		}
	}
	return string(out)
}
