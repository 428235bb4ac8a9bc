package integration_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// Events of two schema versions and two names are handled by the function of their type, in a transaction, in a projection and without either.
// One that cannot be decoded is parked, with an error that names it; the server leaves out what no function is for.
func TestTypedHandlersOfEachKind(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"transaction", "effect", "projection"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			events, err := cartEvents()
			require.NoError(t, err)
			execSQL(t, b.ctx, b.pool, `CREATE TABLE public.sold (id bigint GENERATED ALWAYS AS IDENTITY, sku text, cents bigint)`)
			for _, payload := range []any{ItemAddedV1{SKU: "old", Euros: 7}, "broken"} {
				_, err = b.repo.Append(b.ctx, "cart-1", eventstream.Any, eventstream.EventOf("cart.item_added", payload))
				require.NoError(t, err)
			}
			_, err = b.repo.Append(b.ctx, "cart-1", eventstream.Any, eventstream.EventOf("cart.unknown", 1))
			require.NoError(t, err)
			_, err = events.Append(b.ctx, b.repo, "cart-2", eventstream.Empty, CartOpened{Customer: "ada"}, ItemAdded{SKU: "new", Cents: 50})
			require.NoError(t, err)

			const insert = `INSERT INTO public.sold (sku, cents) VALUES ($1, $2)`
			config := func(types []eventstream.EventType) *subscription.Config {
				c := quick(subscription.Park)
				c.Filter.Types = types
				return c
			}
			var s *subscription.Subscription
			switch kind {
			case "transaction":
				h, err := codec.NewHandlers(events, codec.On(func(ctx context.Context, tx pgx.Tx, _ eventstream.LogEvent, item ItemAdded) error {
					_, err := tx.Exec(ctx, insert, item.SKU, item.Cents)
					return err
				}))
				require.NoError(t, err)
				s = subscribe(t, b, "sold", subscription.EachInTx(h.Handle), config(h.Types()))
			case "effect":
				h, err := codec.NewHandlers(events, codec.On(func(ctx context.Context, b *bundle, _ eventstream.LogEvent, item ItemAdded) error {
					_, err := b.pool.Exec(ctx, insert, item.SKU, item.Cents)
					return err
				}))
				require.NoError(t, err)
				s = subscribe(t, b, "sold", subscription.EachEvent(h.With(b)), config(h.Types()))
			case "projection":
				h, err := codec.NewHandlers(events, codec.On(func(ctx context.Context, tables subscription.Tables, _ eventstream.LogEvent, item ItemAdded) error {
					_, err := tables.Exec(ctx, `INSERT INTO `+tables.Name("sold")+` VALUES ($1, $2)`, item.SKU, item.Cents)
					return err
				}))
				require.NoError(t, err)
				p, err := subscription.NewProjector(b.repo, subscription.Projection{
					Name: "sold", Apply: subscription.ApplyIn(h.Handle), Config: config(h.Types()),
					Setup: func(ctx context.Context, tx pgx.Tx, schema string) error {
						name := subscription.Tables{Tx: tx, Schema: schema}.Name("sold")
						_, err := tx.Exec(ctx, `CREATE TABLE `+name+` (sku text, cents bigint)`)
						return err
					},
				})
				require.NoError(t, err)
				keepRunning(t, b, p)
				s = p.Subscription
			}
			if kind != "projection" {
				keepRunning(t, b, s)
			}
			awaitCheckpoint(t, b, s)
			table := map[bool]string{false: "public.sold", true: "sold.sold"}[kind == "projection"]
			require.Equal(t, []string{"new 50", "old 700"}, texts(t, b, `SELECT sku || ' ' || cents FROM `+table+` ORDER BY 1`))
			parked := readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "sold"))
			require.Len(t, parked, 1)
			broken, err := b.repo.Load(b.ctx, "cart-1")
			require.NoError(t, err)
			require.Contains(t, parked[0].Error, "cannot decode event "+broken.EventsFrom(2)[0].ID.String())
			require.Equal(t, int64(2), parked[0].Version)
			require.JSONEq(t, `{"types": ["cart.item_added"]}`, texts(t, b, `SELECT filter::text FROM eventstream.subscriptions`)[0])
		})
	}
}

// An event that fails in a batch is named by the handler, so that those before it go through at once, without a search.
func TestEachInTxNamesTheEventThatFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rounds(t, b, 10, "a-1")
	sick := positionOf(t, b, "a-1", 7)
	errSick := errors.New("sick")
	var batches []int
	handle := subscription.EachInTx(func(_ context.Context, _ pgx.Tx, event eventstream.LogEvent) error {
		if event.Position == sick {
			return errSick
		}
		return nil
	})
	config := quick(subscription.Stop)
	config.MaxTries = 1
	s := subscribe(t, b, "reader", subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		batches = append(batches, len(events))
		return handle(ctx, tx, events)
	}), config)
	var failed *subscription.HandlerError
	require.ErrorAs(t, s.Run(b.ctx), &failed)
	require.Same(t, errSick, errors.Unwrap(failed.Err))
	require.Equal(t, sick, failed.Event.Position)
	require.Equal(t, []int{10, 6}, batches)
	require.Nil(t, subscription.EachInTx(nil))
	require.Nil(t, subscription.ApplyIn(nil))
}
