package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

// By hand: begin. The same as service.handle on the bare repository, as each team would write it: names of types, decoding, the loop, pauses,
// and ids that make a command count once.
const tries = 20

func nameByHand(value any) (string, error) {
	switch value.(type) {
	case OrderPlaced:
		return "order.placed", nil
	case OrderPaid:
		return "order.paid", nil
	case OrderShipped:
		return "order.shipped", nil
	case AccountCredited:
		return "account.credited", nil
	case AccountCharged:
		return "account.charged", nil
	}
	return "", fmt.Errorf("%T has no name", value)
}

func decodeByHand(e eventstream.Event) (any, error) {
	switch e.Type {
	case "order.placed":
		return eventstream.DecodePayload[OrderPlaced](e)
	case "order.paid":
		return eventstream.DecodePayload[OrderPaid](e)
	case "order.shipped":
		return eventstream.DecodePayload[OrderShipped](e)
	case "account.credited":
		return eventstream.DecodePayload[AccountCredited](e)
	case "account.charged":
		return eventstream.DecodePayload[AccountCharged](e)
	}
	return nil, fmt.Errorf("event type %s is not known", e.Type)
}

func loadByHand(ctx context.Context, store eventstream.Store, id eventstream.StreamID, first uuid.UUID) (t thing, version int64, done bool, err error) {
	for e, err := range store.Read(ctx, id, eventstream.ReadOptions{}) {
		if errors.Is(err, eventstream.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return t, 0, false, err
		}
		value, err := decodeByHand(e)
		if err != nil {
			return t, 0, false, err
		}
		t, version, done = evolve(t, value), e.Version, done || e.ID == first
	}
	return t, version, done, nil
}

func handleByHand(ctx context.Context, store eventstream.Store, id eventstream.StreamID, request uuid.UUID, command any) error {
	idOf := func(n int) uuid.UUID { return uuid.NewSHA1(request, fmt.Appendf(nil, "%s %d", id, n)) }
	for try := 1; ; try++ {
		state, version, done, err := loadByHand(ctx, store, id, idOf(0))
		if err != nil || done {
			return err
		}
		values, err := decide(command, state)
		if err != nil || len(values) == 0 {
			return err
		}
		events := make([]eventstream.Event, len(values))
		for i, value := range values {
			name, err := nameByHand(value)
			if err != nil {
				return err
			}
			if events[i], err = eventstream.NewEvent(name, value, eventstream.WithEventID(idOf(i))); err != nil {
				return err
			}
		}
		if _, err = store.Append(ctx, id, eventstream.Exact(version), events...); !errors.Is(err, eventstream.ErrVersionConflict) || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(rand.IntN(1<<min(try, 8))) * time.Millisecond):
		}
	}
}

// By hand: end.

// What the kit does is what this does, and for how much more. The lines and the allocations are printed in docs/modelling.md.
//
//nolint:paralleltest // it counts allocations
func TestByHandDoesTheSame(t *testing.T) {
	registry, err := events()
	require.NoError(t, err)
	kit := rules(registry)
	ctx := t.Context()
	handlers := map[string]func(store *eventstreamtest.Memory, request uuid.UUID, command any) error{
		"kit": func(store *eventstreamtest.Memory, request uuid.UUID, command any) error {
			_, err := kit.Handle(ctx, store, "order-1", command, decider.WithCommandID(request))
			return err
		},
		"by hand": func(store *eventstreamtest.Memory, request uuid.UUID, command any) error {
			return handleByHand(ctx, store, "order-1", request, command)
		},
	}
	allocations := map[string]float64{}
	for name, handle := range handlers {
		store, placed := eventstreamtest.NewMemory(), uuid.New()
		for range 2 {
			require.NoError(t, handle(store, placed, place{Customer: "ada", Cents: 5}), name)
		}
		require.ErrorIs(t, handle(store, uuid.New(), place{Customer: "ada", Cents: 5}), errExists, name)
		stream, err := store.Load(ctx, "order-1")
		require.NoError(t, err)
		require.Equal(t, int64(1), stream.CurrentVersion(), name)

		credits := eventstreamtest.NewMemory()
		allocations[name] = testing.AllocsPerRun(20, func() { _ = handle(credits, uuid.New(), credit{Cents: 1}) })
	}
	t.Logf("allocations of a command: %.0f with the kit, %.0f by hand", allocations["kit"], allocations["by hand"])
	require.Less(t, allocations["kit"], 2*allocations["by hand"])

	text, err := os.ReadFile("byhand_test.go")
	require.NoError(t, err)
	_, part, _ := strings.Cut(string(text), "// By hand: begin.")
	part, _, _ = strings.Cut(part, "// By hand: end.")
	lines := 0
	for line := range strings.Lines(part) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	t.Logf("by hand: %d lines", lines)
	require.Greater(t, lines, 70)
}
