package eventstreamtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

// The events and the command of a door.
type (
	doorOpened struct{}
	doorClosed struct{}
	openDoor   struct{}
)

var errOpen = errors.New("the door is open already")

func door() (*codec.Registry, eventstreamtest.Rules[openDoor, bool]) {
	events, err := codec.New(codec.Event[doorOpened]("door.opened"), codec.Event[doorClosed]("door.closed"))
	if err != nil {
		panic(err)
	}
	return events, eventstreamtest.Rules[openDoor, bool]{
		Decide: func(_ openDoor, open bool) ([]eventstream.Event, error) {
			if open {
				return nil, errOpen
			}
			return events.EncodeAll(doorOpened{})
		},
		Evolve: func(_ bool, e eventstream.Event) (bool, error) { return e.Type == "door.opened", nil },
	}
}

func ExampleRules() {
	t := &testing.T{} // that of the test
	events, rules := door()
	rules.Given(t, events).When(openDoor{}).Then(doorOpened{})
	rules.Given(t, events, doorOpened{}).When(openDoor{}).ThenError(errOpen)
	s := rules.Given(t, events, doorOpened{}, doorClosed{}).When(openDoor{}).Then(doorOpened{})
	fmt.Println("open:", s.State())
	// Output: open: true
}

func ExampleGiven() {
	t := &testing.T{} // that of the test
	events, _ := door()
	opened := map[eventstream.StreamID]int{}
	err := eventstreamtest.Given(t, events, "door-1", doorOpened{}, doorClosed{}).And("door-2", doorOpened{}).
		Handled(2, func(_ context.Context, batch []eventstream.LogEvent) error {
			for _, e := range batch {
				if e.Type == "door.opened" {
					opened[e.StreamID]++
				}
			}
			return nil
		})
	fmt.Println(opened, err)
	// Output: map[door-1:1 door-2:1] <nil>
}

func ExampleMemory() {
	ctx := context.Background()
	store := eventstreamtest.NewMemory()
	placed, err := eventstream.NewEvent("order.placed", map[string]any{"total": 42})
	if err != nil {
		panic(err)
	}
	for range 2 {
		result, err := store.Append(ctx, "order-1", eventstream.Empty, placed)
		fmt.Println(result.LastVersion, result.Duplicate, err)
	}
	other, err := eventstream.NewEvent("order.placed", nil)
	if err != nil {
		panic(err)
	}
	_, err = store.Append(ctx, "order-1", eventstream.Empty, other)
	fmt.Println(err)
	// Output:
	// 1 false <nil>
	// 1 true <nil>
	// stream "order-1" is at version 1, expected it to be empty: load it and decide anew, or append with Any
}
