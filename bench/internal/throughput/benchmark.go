package throughput

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/report"
	"github.com/gaplesspg/gapless/eventstream"
)

// benchmark is one run.
type benchmark struct {
	*Options
	databases *database.Databases
	log       io.Writer
	results   []result
	tables    []report.Table
}

// store is a database for a number of callers.
type store struct {
	*database.Store
	callers int
	sizes   sizes
}

// Run measures what the options ask for. The log gets a line for each case.
func (o *Options) Run(ctx context.Context, d *database.Databases, log io.Writer) (report.Report, error) {
	b := &benchmark{Options: o, databases: d, log: log, results: []result{}}
	for _, part := range []func(context.Context) error{b.measureCases, b.measureGrowth, b.measureStorage, b.measureDeadRows} {
		if err := part(ctx); err != nil {
			return report.Report{}, err
		}
	}
	r := report.Report{Results: b.results, Tables: b.tables}
	if len(b.results) > 0 {
		r.Chart = chart(b.results)
		r.Tables = append([]report.Table{table(b.results)}, b.tables...)
	}
	if !o.group {
		r.Remark = "Config.Group.Off"
	}
	return r, nil
}

// open makes a database for a number of callers. The function that it returns drops it.
func (b *benchmark) open(ctx context.Context, callers int) (*store, func() error, error) {
	var config *eventstream.Config
	if !b.group {
		config = &eventstream.Config{Group: eventstream.GroupConfig{Off: true}}
	}
	s, drop, err := b.databases.Store(ctx, callers, config)
	return &store{Store: s, callers: callers, sizes: b.sizes}, drop, err
}

// measureCases measures each case with each number of callers.
func (b *benchmark) measureCases(ctx context.Context) error {
	for _, c := range cases() {
		if !b.wants(c.name) {
			continue
		}
		for _, callers := range b.callersOf(c) {
			start := time.Now()
			measured, err := b.measureCase(ctx, c, callers)
			if err != nil {
				return fmt.Errorf("%s, callers %d: %w", c.name, callers, err)
			}
			b.results = append(b.results, measured)
			fmt.Fprintf(b.log, "%s (%.1f s)\n", measured, time.Since(start).Seconds())
		}
	}
	return nil
}

// measureCase measures in a database of its own.
func (b *benchmark) measureCase(ctx context.Context, c testCase, callers int) (_ result, err error) {
	s, drop, err := b.open(ctx, callers)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	sides, err := c.prepare(ctx, s)
	if err != nil {
		return result{}, err
	}
	if err := database.Vacuum(ctx, s.Raw); err != nil {
		return result{}, err
	}
	samples, err := measure(ctx, sides, b.rounds, b.duration)
	if err != nil {
		return result{}, err
	}
	return summarize(c.name, callers, samples[0], samples[1]), nil
}
