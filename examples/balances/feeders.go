package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const handledQuery = `SELECT coalesce(sum(events), 0)::bigint FROM eventstream.subscription_shards WHERE subscription = $1`

const (
	// lookEvery is how often the projection's progress is looked at, to kill somebody at the right time.
	lookEvery = 10 * time.Millisecond
	// dyingTakes is how long a process may take to come upon a batch to die in; one that has none is killed as it is.
	dyingTakes = 15 * time.Second
	// stoppingTakes is how long a process may take to end in order.
	stoppingTakes = 10 * time.Second
)

// feeder is a process that runs the projection.
type feeder struct {
	number int
	cmd    *exec.Cmd
	input  io.WriteCloser
	// ended is closed when the process has ended; said is what it had to say, and err how it ended.
	ended chan struct{}
	said  bytes.Buffer
	err   error
}

// feeders is the processes that run the projection at a time.
type feeders struct {
	dsn     string
	log     io.Writer
	running []*feeder
	started int
	// midBatch is how many died in the middle of a batch.
	midBatch int
}

func startFeeders(dsn string, count int, log io.Writer) (*feeders, error) {
	f := &feeders{dsn: dsn, log: log}
	for range count {
		if err := f.start(); err != nil {
			return nil, errors.Join(err, f.stop())
		}
	}
	return f, nil
}

// start starts this program again, as a process that runs the projection.
func (f *feeders) start() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	f.started++
	p := &feeder{number: f.started, cmd: exec.Command(program), ended: make(chan struct{})}
	p.cmd.Env = environment(f.dsn)
	p.cmd.Stderr = &p.said
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	f.running = append(f.running, p)
	return nil
}

// killSome kills processes, spread over the events that are at least to come, and starts another one for each.
func (f *feeders) killSome(ctx context.Context, pool *pgxpool.Pool, o options) error {
	before, err := handled(ctx, pool)
	if err != nil {
		return err
	}
	for n := range o.kills {
		due := before + int64(o.operations)*int64(n+1)/int64(o.kills+1)
		now, err := f.waitHandled(ctx, pool, due)
		if err != nil {
			return err
		}
		victim := f.running[0] // the eldest
		f.running = f.running[1:]
		how := f.kill(victim, n%2 == 1)
		fmt.Fprintf(f.log, "%8d events projected: process %d killed %s\n", now-before, victim.number, how)
		if err := f.start(); err != nil {
			return err
		}
	}
	return nil
}

// waitHandled returns once the projection has handled so many events, and no process has ended by itself.
func (f *feeders) waitHandled(ctx context.Context, pool *pgxpool.Pool, count int64) (int64, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		now, err := handled(ctx, pool)
		if err != nil || now >= count {
			return now, err
		}
		for _, p := range f.running {
			select {
			case <-p.ended:
				return now, errors.Join(fmt.Errorf("process %d ended, though nobody killed it: %s", p.number, p.said.String()), p.err)
			default:
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}

// handled is how many events the projection has handled so far; 0 if nobody has run it yet.
func handled(ctx context.Context, pool *pgxpool.Pool) (events int64, err error) {
	err = pool.QueryRow(ctx, handledQuery, projection).Scan(&events)
	return events, err
}

// kill ends a process without a warning, at any time or in the middle of a batch, and says which.
func (f *feeders) kill(p *feeder, inBatch bool) string {
	how := "at any time"
	if inBatch {
		fmt.Fprintln(p.input, dieInBatch)
		select {
		case <-p.ended:
			f.midBatch++
			how = "in the middle of a batch"
		case <-time.After(dyingTakes):
		}
	}
	_ = p.cmd.Process.Kill() // SIGKILL; gone already if it died in a batch
	<-p.ended
	return how
}

// stop lets the processes end in order.
func (f *feeders) stop() error {
	var errs []error
	for _, p := range f.running {
		_ = p.input.Close()
	}
	for _, p := range f.running {
		select {
		case <-p.ended:
			if p.err != nil {
				errs = append(errs, fmt.Errorf("process %d: %w: %s", p.number, p.err, p.said.String()))
			}
		case <-time.After(stoppingTakes):
			_ = p.cmd.Process.Kill()
			<-p.ended
			errs = append(errs, fmt.Errorf("process %d did not end", p.number))
		}
	}
	f.running = nil
	return errors.Join(errs...)
}
