package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// docs:start
// confirm mails one order at a time. What was mailed is not mailed again because a later one of the batch fails.
func confirm(repo *eventstream.Repository, mail func(order eventstream.StreamID, address string) error) (*subscription.Subscription, error) {
	handler := subscription.EachEvent(func(_ context.Context, event eventstream.LogEvent) error {
		var order struct{ Address string }
		if err := json.Unmarshal(event.Payload, &order); err != nil {
			return subscription.Permanent(err) // no later try reads it either
		}
		return mail(event.StreamID, order.Address)
	})
	return subscription.New(repo, "confirmations", handler, &subscription.Config{OnFailure: subscription.Park})
}

// docs:end

// docs:start
// meter counts what a subscription does, and leaves the rest to the log.
func meter(handled, failed *atomic.Int64) subscription.Observer {
	log := subscription.SlogObserver(nil)
	return func(o subscription.Observation) {
		switch o := o.(type) {
		case subscription.BatchHandled:
			handled.Add(int64(o.Events))
		case subscription.TryFailed:
			failed.Add(1)
		}
		log(o)
	}
}

// docs:end

// One of two orders has an address that cannot be read, now or later: the other one is mailed, once.
func mailOnce(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	var last eventstream.AppendResult
	for id, address := range map[eventstream.StreamID]any{"order-1": "1 Main Street", "order-2": 17} {
		if last, err = exampleAppend(ctx, repo, id, "order.placed", map[string]any{"address": address}); err != nil {
			return err
		}
	}
	mail := func(order eventstream.StreamID, address string) error {
		fmt.Println("mailed", order, "to", address)
		return nil
	}
	s, err := confirm(repo, mail)
	if err != nil {
		return err
	}
	stop := runInBackground(ctx, s)
	if err := s.WaitFor(ctx, last.LastPosition); err != nil {
		return errors.Join(err, stop())
	}
	for parked, err := range subscription.ParkedEvents(ctx, repo, s.Name()) {
		if err != nil {
			return errors.Join(err, stop())
		}
		fmt.Println("parked", parked.StreamID, "after", parked.Tries, "try")
	}
	return stop()
}

func Example_eachEvent() {
	runExample(mailOnce)
	// Output:
	// mailed order-1 to 1 Main Street
	// parked order-2 after 1 try
}

// An observer counts what is handled and what fails.
func countWithAnObserver(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	last, err := exampleAppend(ctx, repo, "order-1", "order.placed", nil)
	if err != nil {
		return err
	}
	var handled, failed atomic.Int64
	once := true
	handler := subscription.EachEvent(func(context.Context, eventstream.LogEvent) error {
		if once {
			once = false
			return errors.New("not today")
		}
		return nil
	})
	s, err := subscription.New(repo, "counted", handler, &subscription.Config{Observer: meter(&handled, &failed)})
	if err != nil {
		return err
	}
	stop := runInBackground(ctx, s)
	err = errors.Join(s.WaitFor(ctx, last.LastPosition), stop())
	fmt.Println("handled", handled.Load(), "failed", failed.Load())
	return err
}

func Example_observer() {
	runExample(countWithAnObserver)
	// Output:
	// handled 1 failed 1
}
