package decider_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// Seats of a show: a command books some, and there are ten.
type (
	book   struct{ Seats int }
	booked struct {
		Seats int `json:"seats"`
	}
)

var errSoldOut = errors.New("sold out")

func shows() decider.Decider[book, int] {
	return decider.Typed[book, int, booked]{
		Initial: func() int { return 10 },
		Decide: func(c book, free int) ([]booked, error) {
			if c.Seats > free {
				return nil, errSoldOut
			}
			return []booked{{c.Seats}}, nil
		},
		Evolve: func(free int, e booked) int { return free - e.Seats },
		Encode: func(e booked) (eventstream.Event, error) { return eventstream.NewEvent("show.booked", e) },
		Decode: eventstream.DecodePayload[booked],
	}.Decider()
}

// The rules alone: functions that need no store.
func ExampleDecider() {
	events, err := shows().Decide(book{Seats: 3}, 10)
	fmt.Println(events[0].Type, string(events[0].Payload), err)
	_, err = shows().Decide(book{Seats: 3}, 2)
	fmt.Println(err)
	// Output:
	// show.booked {"seats":3} <nil>
	// sold out
}

// In a program the store is a *eventstream.Repository; here it is one in memory.
func ExampleDecider_Handle() {
	ctx, store := context.Background(), &memory{}
	result, err := shows().Handle(ctx, store, "show-1", book{Seats: 7})
	fmt.Println("free:", result.State, "- version", result.Events[0].Version, err)
	_, err = shows().Handle(ctx, store, "show-1", book{Seats: 7})
	fmt.Println(err, errors.Is(err, errSoldOut))
	// Output:
	// free: 3 - version 1 <nil>
	// sold out true
}

// A client that got no answer sends the same command again.
func ExampleWithCommandID() {
	ctx, store := context.Background(), &memory{}
	request := decider.WithCommandID(uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057"))
	for range 2 {
		result, err := shows().Handle(ctx, store, "show-1", book{Seats: 7}, request)
		fmt.Println("free:", result.State, "- a duplicate:", result.Duplicate, err)
	}
	// Output:
	// free: 3 - a duplicate: false <nil>
	// free: 3 - a duplicate: true <nil>
}

// One decision over two streams: both events are appended, or none.
func ExampleTogether() {
	swap := decider.Together(shows(), func(seats int, free decider.Streams[int]) ([]eventstream.Event, error) {
		if seats > free.Of("show-2") {
			return nil, errSoldOut
		}
		back, err := eventstream.NewEvent("show.booked", booked{-seats})
		if err != nil {
			return nil, err
		}
		taken, err := eventstream.NewEvent("show.booked", booked{seats})
		return append(decider.On("show-1", back), decider.On("show-2", taken)...), err
	})
	ctx, store := context.Background(), &memory{}
	if _, err := shows().Handle(ctx, store, "show-1", book{Seats: 4}); err != nil {
		fmt.Println(err)
	}
	result, err := swap.HandleAcross(ctx, store, []eventstream.StreamID{"show-1", "show-2"}, 3)
	fmt.Println(result.State.Of("show-1"), result.State.Of("show-2"), err)
	// Output:
	// 9 7 <nil>
}
