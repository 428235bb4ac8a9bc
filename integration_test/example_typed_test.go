package integration_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// docs:start
// CartOpened and ItemAdded are the events as they are written today.
type CartOpened struct {
	Customer string `json:"customer"`
}

// ItemAdded counts in cents since its schema version 2.
type ItemAdded struct {
	SKU   string `json:"sku"`
	Cents int64  `json:"cents"`
}

// ItemAddedV1 is kept for the events that are stored with it.
type ItemAddedV1 struct {
	SKU   string `json:"sku"`
	Euros int64  `json:"euros"`
}

func cartEvents() (*codec.Registry, error) {
	return codec.New(
		codec.Event[CartOpened]("cart.opened", codec.Formerly("basket.opened")),
		codec.Event[ItemAdded]("cart.item_added",
			codec.Upcast(1, func(old ItemAddedV1) (ItemAdded, error) {
				return ItemAdded{SKU: old.SKU, Cents: 100 * old.Euros}, nil
			})),
		codec.Ignore("cart.seen"),
	)
}

// Cart is what a stream of these events comes to.
type Cart struct {
	Customer string
	Cents    int64
}

// CartAfter is a fold: a type switch over the values of an event.
func CartAfter(cart Cart, value any) Cart {
	switch v := value.(type) {
	case CartOpened:
		cart.Customer = v.Customer
	case ItemAdded:
		cart.Cents += v.Cents
	}
	return cart
}

func shopping(ctx context.Context, repo eventstream.Store, events *codec.Registry) (cart Cart, err error) {
	_, err = events.Append(ctx, repo, "cart-1", eventstream.Any, CartOpened{Customer: "ada"}, ItemAdded{SKU: "A-1", Cents: 1250})
	if err != nil {
		return cart, err
	}
	for value, err := range events.Values(repo.Read(ctx, "cart-1", eventstream.ReadOptions{})) {
		if err != nil {
			return cart, err
		}
		cart = CartAfter(cart, value)
	}
	return cart, nil
}

// docs:end

func Example_typedEvents() {
	runExample(func(ctx context.Context, pool *pgxpool.Pool) error {
		repo, err := exampleRepository(ctx, pool, nil)
		if err != nil {
			return err
		}
		events, err := cartEvents()
		if err != nil {
			return err
		}
		// An older program was here before.
		if _, err := exampleAppend(ctx, repo, "cart-1", "basket.opened", CartOpened{Customer: "somebody"}); err != nil {
			return err
		}
		if _, err := exampleAppend(ctx, repo, "cart-1", "cart.item_added", ItemAddedV1{SKU: "B-2", Euros: 7}); err != nil {
			return err
		}
		cart, err := shopping(ctx, repo, events)
		fmt.Printf("%+v\n", cart)
		return err
	})
	// Output: {Customer:ada Cents:1950}
}

// docs:start
// itemSales counts what was sold of each item. Each event counts once, old ones with the rest, brought up to date.
func itemSales(repo *eventstream.Repository, events *codec.Registry) (*subscription.Subscription, error) {
	handlers, err := codec.NewHandlers(events,
		codec.On(func(ctx context.Context, tx pgx.Tx, _ eventstream.LogEvent, item ItemAdded) error {
			_, err := tx.Exec(ctx, `
				INSERT INTO public.item_sales AS s (sku, cents) VALUES ($1, $2)
				ON CONFLICT (sku) DO UPDATE SET cents = s.cents + excluded.cents`, item.SKU, item.Cents)
			return err
		}))
	if err != nil {
		return nil, err
	}
	return subscription.New(repo, "item-sales", subscription.EachInTx(handlers.Handle), &subscription.Config{
		Filter: eventstream.LogFilter{Types: handlers.Types()},
	})
}

// docs:end

func Example_typedHandlers() {
	runExample(func(ctx context.Context, pool *pgxpool.Pool) error {
		repo, err := exampleRepository(ctx, pool, nil)
		if err != nil {
			return err
		}
		events, err := cartEvents()
		if err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, `CREATE TABLE public.item_sales (sku text PRIMARY KEY, cents bigint NOT NULL)`); err != nil {
			return err
		}
		if _, err := exampleAppend(ctx, repo, "cart-1", "cart.item_added", ItemAddedV1{SKU: "A-1", Euros: 7}); err != nil {
			return err
		}
		if _, err := events.Append(ctx, repo, "cart-2", eventstream.Any, CartOpened{Customer: "ada"}, ItemAdded{SKU: "A-1", Cents: 50}); err != nil {
			return err
		}
		sales, err := itemSales(repo, events)
		if err != nil {
			return err
		}
		stop := runInBackground(ctx, sales)
		head, err := repo.LogHead(ctx)
		if err == nil {
			err = sales.WaitFor(ctx, head.Position)
		}
		if err := errors.Join(err, stop()); err != nil {
			return err
		}
		var cents int64
		err = pool.QueryRow(ctx, `SELECT cents FROM public.item_sales WHERE sku = 'A-1'`).Scan(&cents)
		fmt.Println(cents)
		return err
	})
	// Output: 750
}

// docs:start
// checkEvents is for the start of a process: it ends where the store holds what nobody here can read.
func checkEvents(ctx context.Context, repo *eventstream.Repository, events *codec.Registry) error {
	unknown, err := codec.Check(ctx, repo, events)
	for _, u := range unknown {
		fmt.Printf("%d events of %s, schema version %d, as version %d of %s\n",
			u.Events, u.Type, u.SchemaVersion, u.Version, u.StreamID)
	}
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("the store holds %d kinds of events that this program does not know", len(unknown))
	}
	return err
}

// docs:end

func Example_checkEvents() {
	runExample(func(ctx context.Context, pool *pgxpool.Pool) error {
		repo, err := exampleRepository(ctx, pool, nil)
		if err != nil {
			return err
		}
		events, err := cartEvents()
		if err != nil {
			return err
		}
		if _, err := exampleAppend(ctx, repo, "cart-1", "cart.opened", CartOpened{Customer: "ada"}); err != nil {
			return err
		}
		if _, err := exampleAppend(ctx, repo, "cart-1", "cart.stolen", nil); err != nil {
			return err
		}
		return checkEvents(ctx, repo, events)
	})
	// Output:
	// 1 events of cart.stolen, schema version 1, as version 2 of cart-1
	// error: the store holds 1 kinds of events that this program does not know
}

// docs:start
func TestCartCountsInCents(t *testing.T) {
	events, err := cartEvents()
	if err != nil {
		t.Fatal(err)
	}
	// A store in memory takes the place of the repository.
	cart, err := shopping(t.Context(), eventstreamtest.NewMemory(), events)
	if err != nil || cart != (Cart{Customer: "ada", Cents: 1250}) {
		t.Fatalf("cart %+v, error %v", cart, err)
	}

	// A handler is given a history.
	total := int64(0)
	err = eventstreamtest.Given(t, events, "cart-1", CartOpened{Customer: "ada"}, ItemAdded{SKU: "A-1", Cents: 5}).
		And("cart-2", ItemAdded{SKU: "B-2", Cents: 7}).
		Handled(10, func(_ context.Context, batch []eventstream.LogEvent) error {
			for _, e := range batch {
				values, err := events.Decode(e.Event)
				if err != nil {
					return err
				}
				for _, value := range values {
					total = CartAfter(Cart{Cents: total}, value).Cents
				}
			}
			return nil
		})
	if err != nil || total != 12 {
		t.Fatalf("total %d, error %v", total, err)
	}
}

// docs:end
