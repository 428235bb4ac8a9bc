package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// shipper fails on events without an address, unless it is mended.
type shipper struct{ mended atomic.Bool }

var errNoAddress = errors.New("no address")

func (s *shipper) handle(_ context.Context, events []eventstream.LogEvent) error {
	for _, event := range events {
		if string(event.Payload) == "{}" && !s.mended.Load() {
			return errNoAddress
		}
		fmt.Println("handled", event.StreamID, event.Version)
	}
	return nil
}

// One event cannot be handled. It is put aside, with what comes later of its stream, and the other streams go on. Once the handler is
// mended, what was put aside is replayed.
func parkAndReplay(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	addressed := map[string]string{"address": "1 Main Street"}
	var last eventstream.AppendResult
	for _, e := range []struct {
		id      eventstream.StreamID
		payload any
	}{{"order-1", addressed}, {"order-2", struct{}{}}, {"order-2", addressed}, {"order-3", addressed}} {
		if last, err = exampleAppend(ctx, repo, e.id, "order.placed", e.payload); err != nil {
			return err
		}
	}
	worker := &shipper{}
	s, err := subscription.New(repo, "shipping", subscription.EffectHandler(worker.handle), &subscription.Config{
		OnFailure:  subscription.ParkStream,
		BatchSize:  1,
		MaxTries:   3,
		MinBackoff: time.Millisecond,
	})
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
		fmt.Printf("parked %s %d after %d tries: %s\n", parked.StreamID, parked.Version, parked.Tries, parked.Error)
	}

	worker.mended.Store(true)
	replayed, err := s.ReplayParked(ctx)
	fmt.Println("replayed", replayed)
	return errors.Join(err, stop())
}

func Example_parking() {
	runExample(parkAndReplay)
	// Output:
	// handled order-1 1
	// handled order-3 1
	// parked order-2 1 after 3 tries: no address
	// parked order-2 2 after 0 tries: waits behind a parked event of its stream
	// handled order-2 1
	// handled order-2 2
	// replayed 2
}
