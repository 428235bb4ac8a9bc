package integration_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// docs:start
// lend gives a copy of a book to a reader: an event in the stream of either, both or none. Each says where it must stand.
func lend(ctx context.Context, repo *eventstream.Repository, book, reader *eventstream.EventStream) error {
	_, err := repo.AppendMany(
		ctx,
		eventstream.AppendRequest{
			StreamID: book.StreamID(), Expected: eventstream.Exact(book.CurrentVersion()),
			Events: []eventstream.Event{eventstream.EventOf("book.lent", map[string]any{"to": reader.StreamID()})},
		},
		eventstream.AppendRequest{
			StreamID: reader.StreamID(), Expected: eventstream.Exact(reader.CurrentVersion()),
			Events: []eventstream.Event{eventstream.EventOf("reader.borrowed", map[string]any{"book": book.StreamID()})},
		},
	)
	return err // a *VersionConflictError if either has moved on: load both again and decide anew
}

// docs:end

// Two streams change together: the second reader comes too late for the book, and neither stream gets an event.
func twoStreams(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	book, err := repo.GetOrCreate(ctx, "book-1")
	if err != nil {
		return err
	}
	for _, id := range []eventstream.StreamID{"reader-1", "reader-2"} {
		reader, err := repo.GetOrCreate(ctx, id)
		if err != nil {
			return err
		}
		err = lend(ctx, repo, book, reader) // the book as it was seen before the first reader had it
		fmt.Println(id, "has it:", err == nil, "- too late:", errors.Is(err, eventstream.ErrVersionConflict))
	}
	_, err = repo.Stream(ctx, "reader-2")
	fmt.Println("reader-2 has no event:", errors.Is(err, eventstream.ErrStreamNotFound))
	return nil
}

func Example_twoStreams() {
	runExample(twoStreams)
	// Output:
	// reader-1 has it: true - too late: false
	// reader-2 has it: false - too late: true
	// reader-2 has no event: true
}

// docs:start
// placeAndShow answers a request with what the read model says after it: the order is in there, whichever process runs the model.
func placeAndShow(
	ctx context.Context, repo *eventstream.Repository, totals *subscription.Subscription, order eventstream.StreamID, price int,
	show func() (int, error),
) (int, error) {
	result, err := repo.Append(ctx, order, eventstream.Any, eventstream.EventOf("order.item-added", map[string]int{"price": price}))
	if err != nil {
		return 0, err
	}
	if err := totals.WaitFor(ctx, result.LastPosition); err != nil {
		return 0, err // the append is done all the same; ctx bounds how long it waits
	}
	return show()
}

// docs:end

// Whoever wrote reads its own write from a read model.
func ownWrites(ctx context.Context, pool *pgxpool.Pool) error {
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
	for _, price := range []int{5, 7} {
		total, err := placeAndShow(ctx, repo, totals, "order-1", price, func() (total int, err error) {
			return total, pool.QueryRow(ctx, `SELECT total FROM public.order_totals WHERE order_id = 'order-1'`).Scan(&total)
		})
		if err != nil {
			return errors.Join(err, stop())
		}
		fmt.Println("the page says", total)
	}
	return stop()
}

func Example_readYourOwnWrites() {
	runExample(ownWrites)
	// Output:
	// the page says 5
	// the page says 12
}

// docs:start
// causes is what each event of ours carries in its metadata: which request it belongs to, and which event led to it.
type causes struct {
	Correlation uuid.UUID `json:"correlation_id"`
	Causation   uuid.UUID `json:"causation_id,omitzero"`
}

// because gives an event the request of the one that led to it.
func because(cause eventstream.Event, eventType string, payload any) (eventstream.Event, error) {
	of, err := eventstream.DecodeMetadata[causes](cause)
	if err != nil {
		return eventstream.Event{}, err
	}
	return eventstream.NewEvent(eventType, payload, eventstream.WithMetadata(causes{Correlation: of.Correlation, Causation: cause.ID}))
}

// docs:end

// A request leads to an event, and that one to another: both name the request, the second names the first.
func chained(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	request := uuid.MustParse("00000000-0000-4000-8000-000000000017")
	placed, err := eventstream.NewEvent("order.placed", nil, eventstream.WithMetadata(causes{Correlation: request}))
	if err != nil {
		return err
	}
	packed, err := because(placed, "parcel.packed", nil)
	if err != nil {
		return err
	}
	_, err = repo.AppendMany(
		ctx,
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Empty, Events: []eventstream.Event{placed}},
		eventstream.AppendRequest{StreamID: "parcel-1", Expected: eventstream.Empty, Events: []eventstream.Event{packed}},
	)
	if err != nil {
		return err
	}
	stored, err := repo.Event(ctx, packed.ID)
	if err != nil {
		return err
	}
	of, err := eventstream.DecodeMetadata[causes](stored)
	fmt.Println("of the request:", of.Correlation == request, "- because of order.placed:", of.Causation == placed.ID)
	return err
}

func Example_correlation() {
	runExample(chained)
	// Output:
	// of the request: true - because of order.placed: true
}
