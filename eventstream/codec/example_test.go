package codec_test

import (
	"context"
	"fmt"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

func ExampleNew() {
	type Paid struct {
		By    string `json:"by"`
		Cents int64  `json:"cents"`
	}
	type PaidV1 struct {
		By    string `json:"by"`
		Euros int64  `json:"euros"`
	}
	payments, err := codec.New(
		codec.Event[Paid]("order.paid", codec.Upcast(1, func(old PaidV1) (Paid, error) {
			return Paid{By: old.By, Cents: 100 * old.Euros}, nil
		})),
	)
	if err != nil {
		panic(err)
	}
	now, err := payments.Encode(Paid{By: "card", Cents: 4250})
	if err != nil {
		panic(err)
	}
	fmt.Println(now.Type, string(now.Payload), string(now.Metadata))

	old, err := eventstream.NewEvent("order.paid", map[string]any{"by": "cash", "euros": 7})
	if err != nil {
		panic(err)
	}
	values, err := payments.DecodeAll([]eventstream.Event{old, now})
	if err != nil {
		panic(err)
	}
	for _, value := range values {
		fmt.Printf("%+v\n", value.(Paid))
	}
	// Output:
	// order.paid {"by":"card","cents":4250} {"schema_version":2}
	// {By:cash Cents:700}
	// {By:card Cents:4250}
}

func ExampleSplit() {
	type Placed struct{ By string }
	type Added struct{ SKU string }
	type PlacedV1 struct {
		By    string
		Items []string
	}
	orders, err := codec.New(
		codec.Event[Added]("order.item_added"),
		codec.Event[Placed]("order.placed", codec.Split(1, func(old PlacedV1) ([]any, error) {
			values := []any{Placed{By: old.By}}
			for _, item := range old.Items {
				values = append(values, Added{SKU: item})
			}
			return values, nil
		})),
	)
	if err != nil {
		panic(err)
	}
	old, err := eventstream.NewEvent("order.placed", PlacedV1{By: "ada", Items: []string{"A-1", "B-2"}})
	if err != nil {
		panic(err)
	}
	values, err := orders.Decode(old)
	fmt.Println(values, err)
	// Output: [{ada} {A-1} {B-2}] <nil>
}

func ExampleKeepUnknown() {
	registry, err := codec.New(codec.KeepUnknown())
	if err != nil {
		panic(err)
	}
	event, err := eventstream.NewEvent("parcel.lost", map[string]any{"n": 1})
	if err != nil {
		panic(err)
	}
	values, err := registry.Decode(event)
	fmt.Println(values[0].(codec.Raw).Event.Type, err)
	// Output: parcel.lost <nil>
}

func ExampleRegistry_Append() {
	type Placed struct{ Total int }
	type Paid struct{ By string }
	orders, err := codec.New(codec.Event[Placed]("order.placed"), codec.Event[Paid]("order.paid"))
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	store := eventstreamtest.NewMemory() // or an *eventstream.Repository
	if _, err := orders.Append(ctx, store, "order-1", eventstream.Empty, Placed{Total: 42}, Paid{By: "card"}); err != nil {
		panic(err)
	}
	_, err = orders.Append(ctx, store, "order-1", eventstream.Any, 5)
	fmt.Println(err)
	for value, err := range orders.Values(store.Read(ctx, "order-1", eventstream.ReadOptions{})) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%T %+v\n", value, value)
	}
	// Output:
	// type int is not registered: add codec.Event[int](name) to codec.New
	// codec_test.Placed {Total:42}
	// codec_test.Paid {By:card}
}

func ExampleDrop() {
	type Seen struct{ Page string }
	visits, err := codec.New(codec.Event[Seen]("page.seen", codec.Drop(1)), codec.Ignore("page.left"))
	if err != nil {
		panic(err)
	}
	old, err := eventstream.NewEvent("page.seen", map[string]any{"url": "/"})
	if err != nil {
		panic(err)
	}
	now, err := visits.Encode(Seen{Page: "/"})
	if err != nil {
		panic(err)
	}
	values, err := visits.DecodeAll([]eventstream.Event{old, now})
	fmt.Println(values, err)
	// Output: [{/}] <nil>
}
