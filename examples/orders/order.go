package main

import (
	"errors"
	"fmt"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// The events of orders, and of the accounts that pay for them.
type (
	// OrderPlaced says what a customer ordered, in cents.
	OrderPlaced struct {
		Customer string `json:"customer"`
		Cents    int64  `json:"cents"`
	}
	// OrderPaid says from which account.
	OrderPaid struct {
		Account string `json:"account"`
		Cents   int64  `json:"cents"`
	}
	// OrderShipped ends an order.
	OrderShipped struct{}
	// AccountCredited puts cents into an account.
	AccountCredited struct {
		Cents int64 `json:"cents"`
	}
	// AccountCharged takes them out, for an order.
	AccountCharged struct {
		Order string `json:"order"`
		Cents int64  `json:"cents"`
	}
)

// events are the names of all that in the store.
func events() (*codec.Registry, error) {
	return codec.New(
		codec.Event[OrderPlaced]("order.placed"),
		codec.Event[OrderPaid]("order.paid"),
		codec.Event[OrderShipped]("order.shipped"),
		codec.Event[AccountCredited]("account.credited"),
		codec.Event[AccountCharged]("account.charged"),
	)
}

// What orders and accounts refuse.
var (
	errExists    = errors.New("the order exists already")
	errNotOwed   = errors.New("nothing is owed for the order")
	errNotPaid   = errors.New("the order is not paid")
	errTooLittle = errors.New("the account has too little")
)

// order is what an order has come to, and account an account.
type (
	order struct {
		placed, paid, shipped bool
		cents                 int64
	}
	account struct{ cents int64 }
)

// thing is an order or an account: a payment is one decision about both.
type thing struct {
	order
	account
}

// evolve is the state after an event.
func evolve(t thing, event any) thing {
	switch e := event.(type) {
	case OrderPlaced:
		t.placed, t.order.cents = true, e.Cents
	case OrderPaid:
		t.paid = true
	case OrderShipped:
		t.shipped = true
	case AccountCredited:
		t.account.cents += e.Cents
	case AccountCharged:
		t.account.cents -= e.Cents
	}
	return t
}

// The commands.
type (
	place  OrderPlaced
	ship   struct{}
	credit AccountCredited
	// pay takes what an order costs from an account.
	pay struct{ order, account string }
)

// decide is what follows from a command about one order or account.
func decide(command any, t thing) ([]any, error) {
	switch c := command.(type) {
	case place:
		if t.placed {
			return nil, errExists
		}
		return []any{OrderPlaced(c)}, nil
	case ship:
		if !t.paid || t.shipped {
			return nil, errNotPaid
		}
		return []any{OrderShipped{}}, nil
	case credit:
		return []any{AccountCredited(c)}, nil
	}
	return nil, fmt.Errorf("command %T is none", command)
}

// rules are decide and evolve, over events as they are stored.
func rules(events *codec.Registry) decider.Decider[any, thing] {
	return decider.Decider[any, thing]{Decide: codec.Decide(events, decide), Evolve: codec.Evolve(events, evolve)}
}

// decidePayment is what follows from a payment: an event of the order, and one of the account.
func decidePayment(c pay, order, account thing) (OrderPaid, AccountCharged, error) {
	switch {
	case !order.placed || order.paid:
		return OrderPaid{}, AccountCharged{}, errNotOwed
	case account.account.cents < order.order.cents:
		return OrderPaid{}, AccountCharged{}, errTooLittle
	}
	cents := order.order.cents
	return OrderPaid{Account: c.account, Cents: cents}, AccountCharged{Order: c.order, Cents: cents}, nil
}

// stream is the stream of an order or an account.
func stream(id string) eventstream.StreamID { return eventstream.StreamID(id) }
