package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// envFeed holds the database for a process that was started to feed the projection.
	envFeed = "GAPLESS_BALANCES_FEED"
	// dieInBatch is the line that tells such a process to die in the middle of a batch.
	dieInBatch = "die"
)

// feed runs the projection until the program that started this process closes its input, or is gone.
func feed(ctx context.Context, dsn string, input io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var dies atomic.Bool
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(input); lines.Scan(); {
			dies.Store(lines.Text() == dieInBatch)
		}
	}()
	pool, err := newPool(ctx, dsn, 4, "balances feeder")
	if err != nil {
		return err
	}
	defer pool.Close()
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}
	projector, err := newProjector(repo, func() {
		if dies.Load() {
			die()
		}
	})
	if err != nil {
		return err
	}
	return projector.Run(ctx)
}

// die ends this process as SIGKILL does: nothing is cleaned up, no transaction ended, no connection closed by us.
func die() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot die:", err)
		os.Exit(3)
	}
	select {}
}
