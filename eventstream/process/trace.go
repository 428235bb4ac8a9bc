package process

import (
	"context"
	"encoding/json"

	"github.com/gaplesspg/gapless/eventstream"
)

// TimerTracer is an eventstream.Tracer that is told of timers too: of each call of a handler, every try included. What holds for a Tracer holds
// for it.
type TimerTracer interface {
	// TraceTimerSet gives metadata for a timer that is set with a context: a JSON object that says where it comes from, or nil. What is none, or
	// cannot be stored, is ignored.
	TraceTimerSet(ctx context.Context) json.RawMessage
	// TraceTimerStart is called before a handler is. The handler gets the context that it returns.
	TraceTimerStart(ctx context.Context, start TimerStart) context.Context
	// TraceTimerEnd is called when the handler has returned, before its transaction commits.
	TraceTimerEnd(ctx context.Context, end TimerEnd)
}

// TimerStart is what the handler of a timer gets.
type TimerStart struct {
	// Timer is the timer, with the Metadata that TraceTimerSet gave when it was set.
	Timer Timer
}

// TimerEnd is how the handler has ended.
type TimerEnd struct {
	// Timer is the timer.
	Timer Timer
	// Err is what the handler returned, a *PanicError, or one that matches subscription.ErrHandlerTimeout.
	Err error
}

// setBy is what the repository's tracer says of a timer that is set.
func setBy(ctx context.Context, c core) json.RawMessage {
	tracer, _ := c.Tracer().(TimerTracer)
	if tracer == nil {
		return nil
	}
	metadata := tracer.TraceTimerSet(ctx)
	// The rule is that of an event's metadata.
	if _, err := eventstream.NewEvent("timer.set", nil, eventstream.WithMetadata(metadata)); metadata == nil || err != nil {
		return nil
	}
	return metadata
}

// trace tells that a handler is called, if somebody wants to know, and gives its context. What it returns tells of the end.
func (t *Timers) trace(ctx context.Context, timer Timer) (context.Context, func(error)) {
	if t.tracer == nil {
		return ctx, func(error) {}
	}
	ctx = t.tracer.TraceTimerStart(ctx, TimerStart{Timer: timer})
	return ctx, func(err error) { t.tracer.TraceTimerEnd(ctx, TimerEnd{Timer: timer, Err: err}) }
}
