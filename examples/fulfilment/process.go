package main

import (
	"context"
	"errors"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// The timers of an order.
const (
	unpaid = "unpaid"
	late   = "late"
)

// fulfilment is what the process knows of an order that is not done.
type fulfilment struct {
	// Version is that of the newest event of the order that the process has seen or written: what it decides from.
	Version int64 `json:"version"`
}

// patience is how long the shop waits: for the customer's money, and for the warehouse.
type patience struct{ payment, packing time.Duration }

// newFulfilment describes the process: an order is paid or cancelled, a parcel is requested once it is paid, the customer hears of a delay, and
// the order is shipped once its parcel is. Each step is one transaction: what it appends, its timers, its state, and how far the process is.
func newFulfilment(repo *eventstream.Repository, events *codec.Registry, wait patience) (*process.Manager[fulfilment], error) {
	f := fulfiller{events: events, wait: wait}
	on, err := codec.NewHandlers(events, codec.On(f.onPlaced), codec.On(f.onPaid), codec.On(f.onPacked))
	if err != nil {
		return nil, err
	}
	return process.NewManager(repo, process.Process[fulfilment]{
		Name: "fulfilment", Key: orderOf, On: on.Handle, OnTimer: f.onTimer,
		Config: &subscription.Config{Filter: eventstream.LogFilter{Types: on.Types()}, OnFailure: subscription.ParkStream},
		Timers: &process.TimersConfig{PollInterval: 100 * time.Millisecond},
	})
}

// fulfiller handles events and timers.
type fulfiller struct {
	events *codec.Registry
	wait   patience
}

func (f fulfiller) onPlaced(ctx context.Context, step *process.Step[fulfilment], event eventstream.LogEvent, _ OrderPlaced) error {
	step.State.Version = event.Version
	return step.After(ctx, unpaid, f.wait.payment, nil)
}

func (f fulfiller) onPaid(ctx context.Context, step *process.Step[fulfilment], event eventstream.LogEvent, _ OrderPaid) error {
	step.State.Version = event.Version
	if _, err := step.Cancel(ctx, unpaid); err != nil {
		return err
	}
	if err := step.After(ctx, late, f.wait.packing, nil); err != nil {
		return err
	}
	return f.request(ctx, step)
}

func (f fulfiller) onPacked(ctx context.Context, step *process.Step[fulfilment], _ eventstream.LogEvent, _ ParcelPacked) error {
	err := f.append(ctx, step, "ship", OrderShipped{})
	step.End() // with its timers
	return err
}

// request asks the warehouse for the parcel of an order.
func (f fulfiller) request(ctx context.Context, step *process.Step[fulfilment]) error {
	parcel := eventstream.StreamID(parcelPrefix + step.Key)
	_, err := step.Append(ctx, "request", parcel, eventstream.Empty, f.events.Event(ParcelRequested{Order: step.Key}))
	return err
}

func (f fulfiller) onTimer(ctx context.Context, step *process.Step[fulfilment], timer process.Timer) error {
	if timer.Name == late {
		return f.append(ctx, step, "delay", OrderDelayed{})
	}
	err := f.append(ctx, step, "cancel", OrderCancelled{After: f.wait.payment})
	if errors.Is(err, eventstream.ErrVersionConflict) {
		// The customer has paid, and the process has yet to hear of it. Nothing is lost: that event comes.
		return nil
	}
	step.End()
	return err
}

// append appends to the order, if that is as the process knows it. Names make what is appended exactly once: handled again, it is there already.
func (f fulfiller) append(ctx context.Context, step *process.Step[fulfilment], name string, value any) error {
	result, err := step.Append(ctx, name, eventstream.StreamID(step.Key), eventstream.Exact(step.State.Version), f.events.Event(value))
	if err == nil {
		step.State.Version = result.LastVersion
	}
	return err
}
