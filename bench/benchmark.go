package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gaplesspg/gapless/internal/pgserver"
)

// benchmark is one run.
type benchmark struct {
	options
	databases *databases
	log       io.Writer
}

// measureOn measures in databases of its own, which go at the end.
func measureOn(ctx context.Context, server *pgserver.Server, o options, log io.Writer) (r report, err error) {
	d, drop, err := openDatabases(ctx, server)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	if r.machine, err = d.machine(ctx); err != nil {
		return r, err
	}
	r.machine.ungrouped = !o.group
	b := &benchmark{options: o, databases: d, log: log}
	for _, part := range []func(context.Context, *report) error{b.measureCases, b.measureGrowth, b.measureStorage} {
		if err := part(ctx, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// measureCases measures each case with each number of callers.
func (b *benchmark) measureCases(ctx context.Context, r *report) error {
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
			r.results = append(r.results, measured)
			fmt.Fprintf(b.log, "%s (%.1f s)\n", measured, time.Since(start).Seconds())
		}
	}
	return nil
}

// measureCase measures in a database of its own.
func (b *benchmark) measureCase(ctx context.Context, c testCase, callers int) (_ result, err error) {
	s, drop, err := b.databases.open(ctx, callers, b.options)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	sides, err := c.prepare(ctx, s)
	if err != nil {
		return result{}, err
	}
	if _, err := s.raw.Exec(ctx, analyze); err != nil {
		return result{}, err
	}
	samples, err := measure(ctx, sides, b.rounds, b.duration)
	if err != nil {
		return result{}, err
	}
	return summarize(c.name, callers, samples[0], samples[1]), nil
}
