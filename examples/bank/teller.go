package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// envTeller holds the database for a process that was started as a teller.
	envTeller = "GAPLESS_BANK_TELLER"
	// tellersPool is how many connections each teller may have: for orders, and for its part of the projection.
	tellersPool = 8
)

// teller is what such a process does until its input ends: it serves the orders that come in, all at once, writes an answer for each, and takes
// its share of the projection.
func teller(ctx context.Context, dsn string, in io.Reader, out io.Writer) error {
	pool, err := newPool(ctx, dsn, tellersPool, "bank teller")
	if err != nil {
		return err
	}
	defer pool.Close()
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}
	projector, err := newProjector(repo)
	if err != nil {
		return err
	}
	projecting, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		err := projector.Run(projecting)
		if err != nil {
			err = fmt.Errorf("projection: %w", err)
		}
		ended <- err
	}()
	err = serveAll(ctx, repo, in, out)
	stop()
	return errors.Join(err, <-ended)
}

// serveAll serves each line of in beside the others.
func serveAll(ctx context.Context, repo *eventstream.Repository, in io.Reader, out io.Writer) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	var mu sync.Mutex
	answers := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return fmt.Errorf("an order that is none: %w", err)
		}
		serving.Go(func() {
			a := serve(ctx, repo, o)
			mu.Lock()
			defer mu.Unlock()
			_ = answers.Encode(a) // who asked is gone, and so is this process soon
		})
	}
	return nil
}
