package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/decider"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// shop is the service: the process, the board, and a warehouse.
type shop struct {
	pool       *pgxpool.Pool
	repo       *eventstream.Repository
	events     *codec.Registry
	rules      decider.Decider[any, order]
	fulfilment *process.Manager[fulfilment]
	board      *subscription.Projector
	runner     *subscription.Runner
	// slow are the parcels that the warehouse takes its time for.
	slow func(parcel eventstream.StreamID) bool
}

func newShop(pool *pgxpool.Pool, wait patience) (*shop, error) {
	s := &shop{pool: pool, slow: func(parcel eventstream.StreamID) bool { return parcel[len(parcel)-1] == '7' }}
	var err error
	if s.repo, err = eventstream.NewRepository(pool, nil); err != nil {
		return nil, err
	}
	if s.events, err = newRegistry(); err != nil {
		return nil, err
	}
	s.rules = rules(s.events)
	if s.fulfilment, err = newFulfilment(s.repo, s.events, wait); err != nil {
		return nil, err
	}
	if s.board, err = newBoard(s.repo, s.events); err != nil {
		return nil, err
	}
	warehouse, err := subscription.New(s.repo, "warehouse", subscription.EachEvent(func(ctx context.Context, e eventstream.LogEvent) error {
		return s.pack(ctx, e, 2*wait.packing)
	}), &subscription.Config{Filter: eventstream.LogFilter{Types: []eventstream.EventType{"parcel.requested"}}})
	s.runner = &subscription.Runner{Jobs: []subscription.Job{s.fulfilment, s.board, warehouse}}
	return s, err
}

// pack packs a parcel. The warehouse may do so more than once: the id of what it appends is always that of the same request.
func (s *shop) pack(ctx context.Context, request eventstream.LogEvent, slow time.Duration) error {
	if s.slow(request.StreamID) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(slow):
		}
	}
	packed := s.events.Event(ParcelPacked{}, eventstream.WithEventID(uuid.NewSHA1(request.ID, []byte("packed"))))
	_, err := s.repo.Append(ctx, request.StreamID, eventstream.Exists, packed)
	return err
}

// customer orders, and pays unless he forgets to.
func (s *shop) customer(ctx context.Context, id string, cents int64, pays bool) error {
	stream := eventstream.StreamID(id)
	if _, err := s.rules.Handle(ctx, s.repo, stream, OrderPlaced{Cents: cents}); err != nil || !pays {
		return err
	}
	_, err := s.rules.Handle(ctx, s.repo, stream, pay{})
	if errors.Is(err, errCancelled) {
		return nil // he was too late
	}
	return err
}

// atOnce is how many customers order at a time.
const atOnce = 8

// trade has customers order, one in five of whom never pays, and rebuilds the board in the middle of it.
func (s *shop) trade(ctx context.Context, run string, orders int) (payers int, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce + 1)
	var meant atomic.Int64
	for n := range orders {
		if n == orders/2 {
			// As after a mistake in what it shows: from the first event on, beside the old one, which is read until the new one is level.
			group.Go(func() error { return s.board.Rebuild(ctx, nil) })
		}
		group.Go(func() error {
			pays := n%5 != 0
			if pays {
				meant.Add(1)
			}
			return s.customer(ctx, fmt.Sprintf("order-%s-%d", run, n), int64(100+n), pays)
		})
	}
	err = group.Wait()
	return int(meant.Load()), err
}

// settle waits until no order is on its way any more, and the board shows so.
func (s *shop) settle(ctx context.Context) error {
	for {
		open, err := s.open(ctx)
		if err != nil || open == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d orders are on their way yet: %w", open, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// open counts the orders that are neither shipped nor cancelled, in the board or in the process.
func (s *shop) open(ctx context.Context) (n int, err error) {
	head, err := s.repo.LogHead(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.board.WaitFor(ctx, head.Position); err != nil {
		return 0, err
	}
	err = s.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM board.orders WHERE status NOT IN ('shipped', 'cancelled'))
			+ (SELECT count(*) FROM eventstream.process_states WHERE process = 'fulfilment')`).Scan(&n)
	return n, err
}
