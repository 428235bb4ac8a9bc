package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/gaplesspg/gapless/eventstream"
)

// maxAmount bounds what is moved at once, in cents.
const maxAmount = 10_000

// totals is what the writers did.
type totals struct {
	events, conflicts, lastPosition int64
}

// writer deposits, withdraws and transfers. Several goroutines use it at once.
type writer struct {
	repo     *eventstream.Repository
	accounts int

	left, conflicts, events, lastPosition atomic.Int64
}

// write opens the accounts that are not there, and lets the writers work.
func write(ctx context.Context, o options, repo *eventstream.Repository) (totals, error) {
	w := &writer{repo: repo, accounts: o.accounts}
	if err := w.open(ctx); err != nil {
		return totals{}, err
	}
	w.left.Store(int64(o.operations))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	failures := make(chan error, o.writers)
	for range o.writers {
		group.Go(func() {
			for w.left.Add(-1) >= 0 {
				if err := w.operate(ctx); err != nil {
					failures <- err
					cancel()
					return
				}
			}
		})
	}
	group.Wait()
	close(failures)
	// The first is the cause of the others.
	return totals{w.events.Load(), w.conflicts.Load(), w.lastPosition.Load()}, <-failures
}

func (w *writer) open(ctx context.Context) error {
	for n := range w.accounts {
		event, err := eventstream.NewEvent(opened, change{})
		if err != nil {
			return err
		}
		result, err := w.repo.Append(ctx, accountID(n), eventstream.Empty, event)
		switch {
		case errors.Is(err, eventstream.ErrStreamExists):
			continue // of an earlier run
		case err != nil:
			return err
		}
		w.note(result)
	}
	return nil
}

// operate does one thing, and does it anew for as long as somebody else changes an account between the look at it and the append.
func (w *writer) operate(ctx context.Context) error {
	for {
		from := accountID(rand.IntN(w.accounts))
		to := accountID(rand.IntN(w.accounts))
		amount := 1 + rand.Int64N(maxAmount)
		var err error
		switch {
		case rand.IntN(3) == 0:
			err = w.deposit(ctx, from, amount)
		case from == to:
			err = w.withdraw(ctx, from, amount)
		case rand.IntN(2) == 0:
			err = w.withdraw(ctx, from, amount)
		default:
			err = w.transfer(ctx, from, to, amount)
		}
		if !errors.Is(err, eventstream.ErrVersionConflict) {
			return err
		}
		w.conflicts.Add(1)
	}
}

// deposit looks at nothing: it fits any version.
func (w *writer) deposit(ctx context.Context, id eventstream.StreamID, amount int64) error {
	event, err := eventstream.NewEvent(deposited, change{Amount: amount})
	if err != nil {
		return err
	}
	result, err := w.repo.Append(ctx, id, eventstream.Exists, event)
	if err != nil {
		return err
	}
	w.note(result)
	return nil
}

// withdraw takes no more than there is; from an empty account, it deposits instead.
func (w *writer) withdraw(ctx context.Context, id eventstream.StreamID, amount int64) error {
	account, amount, err := w.affordable(ctx, id, amount)
	if err != nil {
		return err
	}
	if amount == 0 {
		return w.deposit(ctx, id, maxAmount)
	}
	event, err := eventstream.NewEvent(withdrawn, change{Amount: -amount})
	if err != nil {
		return err
	}
	if _, err := account.AppendEvent(event); err != nil {
		return err
	}
	result, err := w.repo.Save(ctx, account)
	if err != nil {
		return err
	}
	w.note(result)
	return nil
}

// transfer moves money from one account to another: both events are there, or none.
func (w *writer) transfer(ctx context.Context, from, to eventstream.StreamID, amount int64) error {
	source, amount, err := w.affordable(ctx, from, amount)
	if err != nil {
		return err
	}
	if amount == 0 {
		return w.deposit(ctx, from, maxAmount)
	}
	out, errOut := eventstream.NewEvent(transferred, change{Amount: -amount, Other: to})
	in, errIn := eventstream.NewEvent(transferred, change{Amount: amount, Other: from})
	if err := errors.Join(errOut, errIn); err != nil {
		return err
	}
	results, err := w.repo.AppendMany(ctx,
		eventstream.AppendRequest{
			StreamID: from, Expected: eventstream.Exact(source.CurrentVersion()), Events: []eventstream.Event{out},
		},
		eventstream.AppendRequest{StreamID: to, Expected: eventstream.Exists, Events: []eventstream.Event{in}})
	if err != nil {
		return err
	}
	w.note(results...)
	return nil
}

// affordable loads an account, and says how much of an amount it can give.
func (w *writer) affordable(ctx context.Context, id eventstream.StreamID, amount int64) (*eventstream.EventStream, int64, error) {
	account, err := w.repo.Load(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	cents, err := balance(account)
	return account, min(amount, cents), err
}

func (w *writer) note(results ...eventstream.AppendResult) {
	for _, result := range results {
		w.events.Add(result.LastVersion - result.FirstVersion + 1)
		for seen := w.lastPosition.Load(); seen < result.LastPosition; seen = w.lastPosition.Load() {
			if w.lastPosition.CompareAndSwap(seen, result.LastPosition) {
				break
			}
		}
	}
}
