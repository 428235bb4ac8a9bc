package integration_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

// exampleRepository migrates an empty database.
func exampleRepository(ctx context.Context, pool *pgxpool.Pool, config *eventstream.Config) (*eventstream.Repository, error) {
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return nil, err
	}
	return eventstream.NewRepository(pool, config)
}

// exampleAppend appends one event, whatever the stream's version.
func exampleAppend(
	ctx context.Context, repo *eventstream.Repository, id eventstream.StreamID, eventType string, payload any,
) (eventstream.AppendResult, error) {
	event, err := eventstream.NewEvent(eventType, payload)
	if err != nil {
		return eventstream.AppendResult{}, err
	}
	return repo.Append(ctx, id, eventstream.Any, event)
}

// docs:start
// printOrders goes through the events of all orders, from a number of the whole log on.
func printOrders(ctx context.Context, repo *eventstream.Repository, from int64) error {
	for event, err := range repo.ReadLog(ctx, eventstream.LogOptions{
		From:   eventstream.FromSequence(from),
		Filter: eventstream.LogFilter{Category: "order"},
	}) {
		if err != nil {
			return err
		}
		fmt.Println(event.Sequence, event.StreamID, event.Version, event.Type)
	}
	return nil
}

// docs:end

// docs:start
// exportLog hands the log over in parts of 1,000 events at most, and returns how many parts that were.
func exportLog(ctx context.Context, repo *eventstream.Repository, send func([]eventstream.LogEvent) error) (parts int, err error) {
	cursor, err := repo.OpenLog(ctx, eventstream.LogOptions{})
	if err != nil {
		return 0, err
	}
	defer cursor.Close()
	for atEnd := false; !atEnd; {
		var events []eventstream.LogEvent
		if events, atEnd, err = cursor.Next(ctx, 1000); err != nil {
			return parts, err
		}
		if len(events) == 0 {
			break // only ever at the end
		}
		if err := send(events); err != nil {
			return parts, err
		}
		parts++
	}
	return parts, nil
}

// docs:end

// Readers of the log see the events of all streams in one order, with numbers that have no hole.
func readTheLog(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	for _, e := range []struct {
		id        eventstream.StreamID
		eventType string
	}{
		{"order-1", "order.placed"},
		{"customer-1", "customer.registered"},
		{"order-2", "order.placed"},
		{"order-1", "order.paid"},
	} {
		if _, err := exampleAppend(ctx, repo, e.id, e.eventType, nil); err != nil {
			return err
		}
	}
	fmt.Println("orders, from the second event of the log on:")
	if err := printOrders(ctx, repo, 2); err != nil {
		return err
	}
	fmt.Println("the newest two of everything:")
	for event, err := range repo.ReadLog(ctx, eventstream.LogOptions{Backwards: true, Limit: 2}) {
		if err != nil {
			return err
		}
		fmt.Println(event.Sequence, event.StreamID, event.Version, event.Type)
	}
	head, err := repo.LogHead(ctx)
	if err != nil {
		return err
	}
	fmt.Println("events in all:", head.Sequence)
	parts, err := exportLog(ctx, repo, func(events []eventstream.LogEvent) error {
		fmt.Println("exported:", len(events))
		return nil
	})
	fmt.Println("parts:", parts)
	return err
}

func Example_log() {
	runExample(readTheLog)
	// Output:
	// orders, from the second event of the log on:
	// 3 order-2 1 order.placed
	// 4 order-1 2 order.paid
	// the newest two of everything:
	// 4 order-1 2 order.paid
	// 3 order-2 1 order.placed
	// events in all: 4
	// exported: 4
	// parts: 1
}
