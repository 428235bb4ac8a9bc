// Package bench measures what a server gives to one program: a short look, not a comparison.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
)

// Options say how long and with how many.
type Options struct {
	// Duration is how long each measurement of appends takes.
	Duration time.Duration
	// Clients is how many append at once where many do.
	Clients int
}

// Result is what one measurement gave.
type Result struct {
	Name            string        `json:"measured"`
	Events          int64         `json:"events"`
	Calls           int64         `json:"calls"`
	EventsPerSecond float64       `json:"events_per_second"`
	P50             time.Duration `json:"p50_ns"`
	P99             time.Duration `json:"p99_ns"`
}

// ServerSettings are those that decide what an append costs.
type ServerSettings struct {
	Version           string `json:"server_version"`
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronous_commit"`
	SharedBuffers     string `json:"shared_buffers"`
}

// Settings asks the server for them.
func Settings(ctx context.Context, pool *pgxpool.Pool) (s ServerSettings, err error) {
	err = pool.QueryRow(ctx, `
		SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'), current_setting('shared_buffers')`).
		Scan(&s.Version, &s.Fsync, &s.SynchronousCommit, &s.SharedBuffers)
	return s, err
}

// Step is one measurement.
type Step struct {
	name string
	// prepare is not measured.
	prepare, run func(ctx context.Context, m *measurement) error
}

const (
	batch   = 100
	loaded  = 100
	loads   = 200
	payload = `{"customer": "ada", "items": [{"sku": "lamp", "quantity": 1}, {"sku": "rug", "quantity": 2}], "cents": 22700, "currency": "EUR"}`
)

// Steps are the measurements, in order: the last one reads what those before it wrote.
func Steps() []Step {
	return []Step{
		{name: "append, one client", run: func(ctx context.Context, m *measurement) error { return m.appends(ctx, 1, 1) }},
		{name: "append, many clients", run: func(ctx context.Context, m *measurement) error { return m.appends(ctx, m.options.Clients, 1) }},
		{name: "append 100 events at once, one client", run: func(ctx context.Context, m *measurement) error { return m.appends(ctx, 1, batch) }},
		{name: "append to one stream, many clients", run: hot},
		{name: "load a stream of 100 events, one client", prepare: fill, run: load},
		{name: "read the log whole", run: log},
	}
}

// measurement is one step as it runs.
type measurement struct {
	repo    *eventstream.Repository
	options Options
	name    string
	mu      sync.Mutex
	times   []time.Duration
	events  atomic.Int64
}

// Run measures.
func (s Step) Run(ctx context.Context, pool *pgxpool.Pool, options Options) (Result, error) {
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return Result{}, err
	}
	m := &measurement{repo: repo, options: options, name: s.name}
	if s.prepare != nil {
		if err := s.prepare(ctx, m); err != nil {
			return Result{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	start := time.Now()
	if err := s.run(ctx, m); err != nil {
		return Result{}, fmt.Errorf("%s: %w", s.name, err)
	}
	took := time.Since(start)
	slices.Sort(m.times)
	return Result{
		Name: s.name, Events: m.events.Load(), Calls: int64(len(m.times)), EventsPerSecond: float64(m.events.Load()) / took.Seconds(),
		P50: m.quantile(0.50), P99: m.quantile(0.99),
	}, nil
}

func (m *measurement) quantile(q float64) time.Duration {
	if len(m.times) == 0 {
		return 0
	}
	return m.times[int(q*float64(len(m.times)-1))].Round(time.Microsecond)
}

// clients has several do the same until the time is over, and keeps how long each call took.
func (m *measurement) clients(ctx context.Context, n int, call func(ctx context.Context, client, turn int) (events int, err error)) error {
	end := time.Now().Add(m.options.Duration)
	failed := make(chan error, n)
	for client := range n {
		go func() {
			var own []time.Duration
			var err error
			for turn := 0; err == nil && time.Now().Before(end); turn++ {
				start := time.Now()
				var events int
				if events, err = call(ctx, client, turn); err == nil {
					own = append(own, time.Since(start))
					m.events.Add(int64(events))
				}
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			m.times = append(m.times, own...)
			failed <- err
		}()
	}
	var all error
	for range n {
		all = errors.Join(all, <-failed)
	}
	return all
}

func events(n int) []eventstream.Event {
	made := make([]eventstream.Event, n)
	for i := range made {
		made[i] = eventstream.EventOf("order.placed", json.RawMessage(payload))
	}
	return made
}

// appends has each client append to streams of its own, ten events each.
func (m *measurement) appends(ctx context.Context, clients, size int) error {
	return m.clients(ctx, clients, func(ctx context.Context, client, turn int) (int, error) {
		stream := eventstream.StreamID(fmt.Sprintf("bench%d-%d-%d-%d", clients, size, client, turn/10))
		_, err := m.repo.Append(ctx, stream, eventstream.Any, events(size)...)
		return size, err
	})
}

// hot has all clients append to one stream.
func hot(ctx context.Context, m *measurement) error {
	return m.clients(ctx, m.options.Clients, func(ctx context.Context, _, _ int) (int, error) {
		_, err := m.repo.Append(ctx, "hot-1", eventstream.Any, events(1)...)
		return 1, err
	})
}

const streams = 10

func streamOf(i int) eventstream.StreamID {
	return eventstream.StreamID(fmt.Sprintf("loaded-%d", i%streams))
}

// fill writes what load loads.
func fill(ctx context.Context, m *measurement) error {
	for i := range streams {
		if _, err := m.repo.Append(ctx, streamOf(i), eventstream.Empty, events(loaded)...); err != nil {
			return err
		}
	}
	return nil
}

// load loads streams one after the other.
func load(ctx context.Context, m *measurement) error {
	for i := range loads {
		start := time.Now()
		stream, err := m.repo.Load(ctx, streamOf(i))
		if err != nil {
			return err
		}
		m.times = append(m.times, time.Since(start))
		m.events.Add(stream.CurrentVersion())
	}
	return nil
}

// log reads everything that was written.
func log(ctx context.Context, m *measurement) error {
	start := time.Now()
	for _, err := range m.repo.ReadLog(ctx, eventstream.LogOptions{}) {
		if err != nil {
			return err
		}
		m.events.Add(1)
	}
	m.times = append(m.times, time.Since(start))
	return nil
}
