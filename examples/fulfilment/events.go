package main

import (
	"errors"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// The events of an order, and of the parcel that the warehouse makes of it.
type (
	// OrderPlaced says what an order costs, in cents.
	OrderPlaced struct {
		Cents int64 `json:"cents"`
	}
	// OrderPaid says that the customer has paid.
	OrderPaid struct{}
	// OrderCancelled says that nobody paid in time.
	OrderCancelled struct {
		After time.Duration `json:"after_ns"`
	}
	// OrderDelayed says that the warehouse takes longer than was promised.
	OrderDelayed struct{}
	// OrderShipped ends an order.
	OrderShipped struct{}
	// ParcelRequested asks the warehouse for a parcel.
	ParcelRequested struct {
		Order string `json:"order"`
	}
	// ParcelPacked says that the parcel has left.
	ParcelPacked struct{}
)

// newRegistry names the events.
func newRegistry() (*codec.Registry, error) {
	return codec.New(
		codec.Event[OrderPlaced]("order.placed"),
		codec.Event[OrderPaid]("order.paid"),
		codec.Event[OrderCancelled]("order.cancelled"),
		codec.Event[OrderDelayed]("order.delayed"),
		codec.Event[OrderShipped]("order.shipped"),
		codec.Event[ParcelRequested]("parcel.requested"),
		codec.Event[ParcelPacked]("parcel.packed"),
	)
}

// parcelPrefix comes before the order's name in that of its parcel.
const parcelPrefix = "parcel-"

// orderOf is the order that an event is about: the key of the process.
func orderOf(event eventstream.LogEvent) string {
	return strings.TrimPrefix(string(event.StreamID), parcelPrefix)
}

// What customers are told.
var (
	errPlaced    = errors.New("the order is placed already")
	errNotPlaced = errors.New("there is no such order")
	errCancelled = errors.New("the order was cancelled, since nobody paid in time")
	errPaid      = errors.New("the order is paid already")
)

// order is what its events come to, as far as its customer is concerned.
type order struct{ placed, paid, cancelled bool }

// pay is the command of a customer.
type pay struct{}

// rules say what customers may do. The process decides about all else.
func rules(events *codec.Registry) decider.Decider[any, order] {
	return decider.Decider[any, order]{
		Decide: codec.Decide(events, func(command any, o order) ([]any, error) {
			placing, isPlacing := command.(OrderPlaced)
			switch {
			case isPlacing && o.placed:
				return nil, errPlaced
			case isPlacing:
				return []any{placing}, nil
			case !o.placed:
				return nil, errNotPlaced
			case o.cancelled:
				return nil, errCancelled
			case o.paid:
				return nil, errPaid
			}
			return []any{OrderPaid{}}, nil
		}),
		Evolve: codec.Evolve(events, func(o order, event any) order {
			switch event.(type) {
			case OrderPlaced:
				o.placed = true
			case OrderPaid:
				o.paid = true
			case OrderCancelled:
				o.cancelled = true
			}
			return o
		}),
	}
}
