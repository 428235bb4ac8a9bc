// Package reading measures the log: how fast a subscription catches up, against what plain pgx does with the same rows in the same run; how
// soon an event reaches a handler; what subscriptions cost that have nothing to do.
//
// Cases of a catch-up are measured one after the other in each round, and which one comes first changes from round to round; ratios are
// taken within a round, before the median. They compare time on the clock, of client and server together: on a machine with few cores both
// share them.
package reading

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/report"
)

const (
	// minEvents fill a page or two.
	minEvents = 1000
	// connections of a pool are enough for readers and writers of one process.
	connections = 10
)

// Options is what the command line asks for.
type Options struct {
	// only names what is measured. Default: everything.
	only []string
	// events is how many events the log has that is read.
	events int
	// rounds is how often each catch-up is measured.
	rounds int
	// samples is how many events a latency is measured on.
	samples int
	// settle and watch are how long idle subscriptions are left alone, and then looked at.
	settle, watch time.Duration
}

// Defaults measures everything.
func Defaults() *Options {
	return &Options{events: 1_000_000, rounds: 5, samples: 300, settle: 12 * time.Second, watch: 10 * time.Second}
}

func parts() []string { return []string{"latency", "idle", "catchup"} }

// Flags defines what the command line may say.
func (o *Options) Flags(f *flag.FlagSet) {
	f.Func("only", "measure these alone, of "+strings.Join(parts(), ","), func(text string) error {
		o.only = strings.Split(text, ",")
		return nil
	})
	f.IntVar(&o.events, "events", o.events, "events of the log, at least 1000")
	f.IntVar(&o.rounds, "rounds", o.rounds, "how often each catch-up is measured")
	f.IntVar(&o.samples, "samples", o.samples, "events that a latency is measured on")
}

// Validate refuses what cannot be measured.
func (o *Options) Validate() error {
	if o.events < minEvents {
		return fmt.Errorf("-events %d: at least %d are needed", o.events, minEvents)
	}
	if o.rounds < 1 || o.samples < 1 {
		return fmt.Errorf("-rounds %d -samples %d: both must be at least 1", o.rounds, o.samples)
	}
	for _, name := range o.only {
		if !slices.Contains(parts(), name) {
			return fmt.Errorf("-only %q: must be of %s", name, strings.Join(parts(), ", "))
		}
	}
	return nil
}

// benchmark is one run.
type benchmark struct {
	*Options
	*database.Store
	log     io.Writer
	results []result
	tables  []report.Table
}

// result is a number that a part came to.
type result struct {
	// Case is what was measured.
	Case string `json:"case"`
	// Rate is the median of the events per second, of a catch-up.
	Rate float64 `json:"rate,omitempty"`
	// Ratio is the median of the rounds' rate / rate of what it is compared with.
	Ratio float64 `json:"ratio,omitempty"`
	// Spread is (highest - lowest) / median of the ratios.
	Spread float64 `json:"spread,omitempty"`
	// P50 and P99 are milliseconds of a latency.
	P50 float64 `json:"p50_ms,omitempty"`
	P99 float64 `json:"p99_ms,omitempty"`
	// Here and Backends are shares of a core, in the process and in its backends, of idle subscriptions.
	Here     float64 `json:"cpu_here,omitempty"`
	Backends float64 `json:"cpu_backends,omitempty"`
}

// Run measures what the options ask for, in one database. The log gets what subscriptions had to try again.
func (o *Options) Run(ctx context.Context, d *database.Databases, log io.Writer) (r report.Report, err error) {
	s, drop, err := d.Store(ctx, connections-database.SparePool, nil)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	b := &benchmark{Options: o, Store: s, log: log, results: []result{}}
	for i, measure := range []func(context.Context) error{b.measureLatency, b.measureIdle, b.measureCatchUp} {
		name := parts()[i]
		if len(o.only) > 0 && !slices.Contains(o.only, name) {
			continue
		}
		if err := measure(ctx); err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintln(log, "measured:", name)
	}
	return report.Report{Results: b.results, Tables: b.tables}, nil
}
