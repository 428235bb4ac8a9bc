package integration_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// runInBackground runs a subscription until the function that it returns is called, which gives the error of Run.
func runInBackground(ctx context.Context, s interface {
	Create(ctx context.Context) error
	Run(ctx context.Context) error
},
) (stop func() error) {
	if err := s.Create(ctx); err != nil {
		return func() error { return err }
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// docs:start
// orderTotals keeps what each order comes to in a table. The checkpoint moves in the same transaction: every event counts once,
// also if the process dies at any moment, or several run it.
func orderTotals(repo *eventstream.Repository) (*subscription.Subscription, error) {
	add := func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		for _, event := range events {
			_, err := tx.Exec(ctx, `
				INSERT INTO public.order_totals AS t (order_id, total)
				VALUES ($1, ($2::jsonb ->> 'price')::integer)
				ON CONFLICT (order_id) DO UPDATE SET total = t.total + excluded.total`, event.StreamID, event.Payload)
			if err != nil {
				return err
			}
		}
		return nil
	}
	return subscription.New(repo, "order-totals", subscription.TxHandler(add), &subscription.Config{
		Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.item-added"}},
	})
}

// docs:end

// A subscription adds up what orders come to, exactly once. Whoever appended something waits for it, and then finds it in the table.
func exactlyOnce(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, `CREATE TABLE public.order_totals (order_id text PRIMARY KEY, total integer NOT NULL)`); err != nil {
		return err
	}
	totals, err := orderTotals(repo)
	if err != nil {
		return err
	}
	stop := runInBackground(ctx, totals)
	for _, price := range []int{30, 12} {
		result, err := exampleAppend(ctx, repo, "order-1", "order.item-added", map[string]int{"price": price})
		if err != nil {
			return errors.Join(err, stop())
		}
		if err := totals.WaitFor(ctx, result.LastPosition); err != nil {
			return errors.Join(err, stop())
		}
		var total int
		if err := pool.QueryRow(ctx, `SELECT total FROM public.order_totals WHERE order_id = 'order-1'`).Scan(&total); err != nil {
			return errors.Join(err, stop())
		}
		fmt.Println("order-1 comes to", total)
	}
	if err := stop(); err != nil {
		return err
	}
	lag, err := totals.Lag(ctx)
	for _, shard := range lag {
		fmt.Printf("shard %d of %d: %d events handled, %d to go\n", shard.Shard, shard.Shards, shard.Handled, shard.Events)
	}
	return err
}

func Example_subscription() {
	runExample(exactlyOnce)
	// Output:
	// order-1 comes to 30
	// order-1 comes to 42
	// shard 0 of 1: 2 events handled, 0 to go
}

// outbox stands for a service outside the database that knows a message again by its key.
type outbox struct {
	sent map[string]bool
	// losesAnswerOf is a message after which the connection breaks.
	losesAnswerOf string
}

var errNoAnswer = errors.New("the connection broke before the answer came")

func (o *outbox) send(key, message string) error {
	if o.sent[key] {
		fmt.Println("sent already:", message)
		return nil
	}
	o.sent[key] = true
	if message == o.losesAnswerOf {
		fmt.Println("sent, but no answer:", message)
		return errNoAnswer
	}
	fmt.Println("sent:", message)
	return nil
}

// docs:start
// notifier tells a service outside the database of every order that was placed: at least once, so the event's id goes along, by which
// the service knows it again.
func notifier(repo *eventstream.Repository, service *outbox) (*subscription.Subscription, error) {
	notify := func(_ context.Context, events []eventstream.LogEvent) error {
		for _, event := range events {
			if err := service.send(event.ID.String(), "placed "+event.StreamID.String()); err != nil {
				return err
			}
		}
		return nil
	}
	return subscription.New(repo, "notifier", subscription.EffectHandler(notify), &subscription.Config{
		Filter:     eventstream.LogFilter{Types: []eventstream.EventType{"order.placed"}},
		BatchSize:  1,
		MinBackoff: 10 * time.Millisecond,
	})
}

// docs:end

// Effects outside the database happen at least once: after an error the event comes again.
func atLeastOnce(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	var last eventstream.AppendResult
	for _, id := range []eventstream.StreamID{"order-1", "order-2", "order-3"} {
		if last, err = exampleAppend(ctx, repo, id, "order.placed", nil); err != nil {
			return err
		}
	}
	s, err := notifier(repo, &outbox{sent: map[string]bool{}, losesAnswerOf: "placed order-2"})
	if err != nil {
		return err
	}
	stop := runInBackground(ctx, s)
	return errors.Join(s.WaitFor(ctx, last.LastPosition), stop())
}

func Example_effect() {
	runExample(atLeastOnce)
	// Output:
	// sent: placed order-1
	// sent, but no answer: placed order-2
	// sent already: placed order-2
	// sent: placed order-3
}
