package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// operation is an order with its answer, and when it was given and answered, since the beginning. Between the two it took effect.
type operation struct {
	customer         int
	asked            order
	got              answer
	called, returned time.Duration
	// times is how often it was given: more than once if its teller was killed.
	times int
}

// mostAsked bounds how often an order is given.
const mostAsked = 50

// customers give orders, each one at a time.
type customers struct {
	o       options
	counter *counter
	began   time.Time
	given   atomic.Int64
	due     atomic.Int64 // kills, so far
	kills   chan struct{}

	mu      sync.Mutex
	history []operation
}

// trade lets customers give the orders, while tellers are killed, and returns what happened.
func trade(ctx context.Context, o options, c *counter) ([]operation, error) {
	cs := &customers{o: o, counter: c, began: time.Now(), kills: make(chan struct{}, o.kills)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	failures := make(chan error, o.customers+1)
	fail := func(err error) {
		if err != nil {
			failures <- err
			cancel()
		}
	}
	for n := range o.customers {
		wait.Go(func() { fail(cs.come(ctx, n)) })
	}
	killed := make(chan error, 1)
	go func() { killed <- cs.killSome() }()
	wait.Wait()
	close(cs.kills)
	fail(<-killed)
	close(failures)
	// The first is the cause of the others.
	return cs.history, <-failures
}

// killSome kills a teller each time that one is due.
func (cs *customers) killSome() (err error) {
	for range cs.kills {
		err = errors.Join(err, cs.counter.replace(rand.IntN(cs.o.tellers)))
	}
	return err
}

// come gives orders until there are enough.
func (cs *customers) come(ctx context.Context, customer int) error {
	for ctx.Err() == nil {
		n := cs.given.Add(1)
		if n > int64(cs.o.orders) || cs.late() {
			return nil
		}
		// Kills are spread over the first half of the orders.
		if every := max(1, cs.o.orders/2/(cs.o.kills+1)); n%int64(every) == 0 && n/int64(every) <= int64(cs.o.kills) {
			cs.kills <- struct{}{}
			cs.due.Add(1)
		}
		done, err := cs.give(ctx, customer, cs.any())
		if err != nil {
			return err
		}
		cs.mu.Lock()
		cs.history = append(cs.history, done)
		cs.mu.Unlock()
	}
	return ctx.Err()
}

// late says whether it is time to go.
func (cs *customers) late() bool {
	return cs.o.most > 0 && time.Since(cs.began) > cs.o.most && cs.due.Load() == int64(cs.o.kills)
}

// any makes an order up: mostly transfers, some of more than there may be.
func (cs *customers) any() order {
	from := rand.IntN(cs.o.accounts)
	to := (from + 1 + rand.IntN(cs.o.accounts-1)) % cs.o.accounts
	o := order{ID: uuid.New(), transfer: transfer{From: accountID(from)}}
	if rand.IntN(8) > 0 {
		o.To, o.Amount = accountID(to), 1+rand.Int64N(cs.o.deposit*2/3)
	}
	return o
}

// give gives an order until somebody answers.
func (cs *customers) give(ctx context.Context, customer int, o order) (operation, error) {
	done := operation{customer: customer, asked: o, called: time.Since(cs.began)}
	var last string
	for done.times < mostAsked && ctx.Err() == nil {
		done.times++
		a, answered := cs.counter.at(rand.IntN(cs.o.tellers)).ask(o)
		if answered && a.Failed == "" {
			done.got, done.returned = a, time.Since(cs.began)
			return done, nil
		}
		last = a.Failed
	}
	return done, errors.Join(ctx.Err(), fmt.Errorf("order %s has no answer after %d times: %s", o.ID, done.times, last))
}
