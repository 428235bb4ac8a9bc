package subscription

import (
	"context"
	"errors"

	"github.com/gaplesspg/gapless/eventstream"
)

// HandlerTracer is an eventstream.Tracer that is told of handlers too: each time that a subscription of the repository hands events to one,
// every try, every part of a batch that is tried again and every ReplayParked included. What holds for a Tracer holds for it. An Observer is
// told what comes of it, later and in order.
type HandlerTracer interface {
	// TraceHandlerStart is called before a handler is. The handler gets the context that it returns.
	TraceHandlerStart(ctx context.Context, start HandlerStart) context.Context
	// TraceHandlerEnd is called when the handler has returned, or an AsyncHandler has acknowledged: maybe by another goroutine then.
	TraceHandlerEnd(ctx context.Context, end HandlerEnd)
}

// HandlerStart is what a handler gets.
type HandlerStart struct {
	// Subscription and Shard say whose handler.
	Subscription string
	Shard        int
	// Events are what it gets.
	Events []eventstream.LogEvent
}

// HandlerEnd is how a handler has ended.
type HandlerEnd struct {
	// Subscription and Shard say whose handler, and Events is how many events it got.
	Subscription string
	Shard        int
	Events       int
	// Err is what it failed with: what it returned, a *HandlerPanicError, or one that matches ErrHandlerTimeout.
	Err error
}

// handlerTrace is what is told of one call of a handler; the zero value tells nobody.
type handlerTrace struct {
	tracer HandlerTracer
	ctx    context.Context //nolint:containedctx // what the tracer made of the handler's
	end    HandlerEnd
}

// trace tells that the handler is called, if somebody wants to know, and gives its context.
func (w *shardWorker) trace(ctx context.Context, events []eventstream.LogEvent) (context.Context, handlerTrace) {
	if w.sub.tracer == nil {
		return ctx, handlerTrace{}
	}
	ctx = w.sub.tracer.TraceHandlerStart(ctx, HandlerStart{Subscription: w.sub.name, Shard: w.shard, Events: events})
	return ctx, handlerTrace{w.sub.tracer, ctx, HandlerEnd{Subscription: w.sub.name, Shard: w.shard, Events: len(events)}}
}

// ended tells how it went, and returns that.
func (t handlerTrace) ended(err error) error {
	if t.tracer == nil {
		return err
	}
	t.end.Err = unwrapFailure(err)
	var part *partialError
	if errors.As(t.end.Err, &part) {
		_, t.end.Err, _ = partOf(t.end.Err, t.end.Events)
	}
	t.tracer.TraceHandlerEnd(t.ctx, t.end)
	return err
}
