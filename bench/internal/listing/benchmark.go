package listing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/report"
	"github.com/gaplesspg/gapless/bench/internal/rounds"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// warmCalls of each case come before the first round, so that the session has settled on its plan.
	warmCalls = callsToSettle
	// leastCalls make a sample of a case that takes longer than the time of a sample.
	leastCalls = 3
)

// benchmark is one run.
type benchmark struct {
	*Options
	*database.Store
	log io.Writer
}

// result is what a case came to.
type result struct {
	// Case is what was asked for.
	Case string `json:"case"`
	// Rows is how many streams the last call gave or counted.
	Rows int `json:"rows"`
	// P50, P99 and Max are milliseconds of a call, over all rounds.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
	// Spread is (highest - lowest) / median of the medians of the rounds.
	Spread float64 `json:"spread"`
}

// config asks for a page in one round trip.
func (b *benchmark) config() *eventstream.Config { return &eventstream.Config{PageSize: pageSize} }

// Run measures what the options ask for. The log gets a line when the store is there.
func (o *Options) Run(ctx context.Context, d *database.Databases, log io.Writer) (r report.Report, err error) {
	b := &benchmark{Options: o, log: log}
	s, drop, err := d.Store(ctx, 1, b.config())
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	b.Store = s
	if err := b.fill(ctx); err != nil {
		return r, err
	}
	var recentStreams bool
	if err := b.Raw.QueryRow(ctx, hasRecentStreams).Scan(&recentStreams); err != nil {
		return r, err
	}
	all := cases(recentStreams)
	results, err := b.measure(ctx, all)
	if err != nil {
		return r, err
	}
	r = report.Report{Results: results, Tables: []report.Table{b.table(results)}}
	if o.plans {
		r.Notes, err = b.explain(ctx, all)
	}
	return r, err
}

// measure asks for everything on one connection.
func (b *benchmark) measure(ctx context.Context, all []listCase) ([]result, error) {
	conn, err := b.Gapless.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	repo, err := eventstream.NewRepository(conn.Conn(), b.config())
	if err != nil {
		return nil, err
	}
	on := target{conn.Conn(), repo}
	results := make([]result, len(all))
	latencies, medians := make([][]time.Duration, len(all)), make([][]float64, len(all))
	for _, c := range all {
		for range warmCalls {
			if _, err := c.ask(ctx, on); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	err = rounds.InTurn(b.rounds, len(all), func(_, i int) error {
		took, n, err := b.sample(ctx, all[i], on)
		if err != nil {
			return fmt.Errorf("%s: %w", all[i].name, err)
		}
		results[i].Rows = n
		latencies[i] = append(latencies[i], took...)
		slices.Sort(took)
		medians[i] = append(medians[i], report.Milliseconds(report.Quantile(took, 0.5)))
		return nil
	})
	for i, c := range all {
		if err != nil {
			break
		}
		slices.Sort(latencies[i])
		at := func(share float64) float64 { return report.Milliseconds(report.Quantile(latencies[i], share)) }
		results[i] = result{
			Case: c.name, Rows: results[i].Rows, P50: at(0.5), P99: at(0.99), Max: at(1), Spread: report.Round(report.Spread(medians[i]), 3),
		}
	}
	return results, err
}

// sample asks until the time is up, and some times at least. An answer without a stream is a mistake.
func (b *benchmark) sample(ctx context.Context, c listCase, on target) (took []time.Duration, n int, err error) {
	for start := time.Now(); len(took) < leastCalls || time.Since(start) < b.duration; {
		began := time.Now()
		if n, err = c.ask(ctx, on); err != nil {
			return nil, 0, err
		}
		took = append(took, time.Since(began))
		if n == 0 {
			return nil, 0, errors.New("no stream was found: the numbers mean nothing")
		}
	}
	return took, n, nil
}

func (b *benchmark) table(results []result) report.Table {
	t := report.Table{
		Title:   fmt.Sprintf("Listings of %d streams with %d events each", b.streams, b.events),
		Columns: []string{"case", "rows", "p50 ms", "p99 ms", "max ms", "spread"}, Strong: 2,
	}
	for _, r := range results {
		t.Add(r.Case, strconv.Itoa(r.Rows), report.Number(r.P50, 2), report.Number(r.P99, 2), report.Number(r.Max, 2), report.Percent(r.Spread))
	}
	return t
}
