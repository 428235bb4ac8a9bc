package eventstreamtest

import (
	"context"
	"testing"

	"github.com/gaplesspg/gapless/eventstream"
)

// History is a log for the test of a projection or of any other handler, without a database.
type History struct {
	t     testing.TB
	codec Codec
	store *Memory
}

// Given begins a history: values that the codec knows, or events, are appended to a stream. A nil codec will do for events.
func Given(t testing.TB, codec Codec, id eventstream.StreamID, past ...any) *History {
	t.Helper()
	h := &History{t: t, codec: codec, store: NewMemory()}
	return h.And(id, past...)
}

// And appends to another stream, or to one again: the log is in the order of these calls.
func (h *History) And(id eventstream.StreamID, more ...any) *History {
	h.t.Helper()
	if _, err := h.store.Append(context.Background(), id, eventstream.Any, encoded(h.t, h.codec, more)...); err != nil {
		h.t.Fatal(err)
	}
	return h
}

// Store is the store that holds the history, for what reads more than the log.
func (h *History) Store() *Memory { return h.store }

// Handled gives the log to a handler, in batches of so many events, and ends with its first error. What the handler made of it is for the test
// to see; a handler that delivers effects should come to the same in batches of any size.
func (h *History) Handled(size int, handle func(ctx context.Context, batch []eventstream.LogEvent) error) error {
	h.t.Helper()
	if size < 1 {
		h.t.Fatalf("batches of %d events: give 1 or more", size)
	}
	var batch []eventstream.LogEvent
	for e, err := range h.store.ReadLog(context.Background(), eventstream.LogOptions{}) {
		if err != nil {
			return err
		}
		if batch = append(batch, e); len(batch) < size {
			continue
		}
		if err := handle(context.Background(), batch); err != nil {
			return err
		}
		batch = nil
	}
	if len(batch) == 0 {
		return nil
	}
	return handle(context.Background(), batch)
}

// Fold returns the state that follows from values or events, as one stream of versions from 1. A fold that fails fails the test.
func Fold[State any](t testing.TB, codec Codec, initial State, evolve func(State, eventstream.Event) (State, error), past ...any) State {
	t.Helper()
	rules := Rules[struct{}, State]{Initial: func() State { return initial }, Evolve: evolve}
	return rules.Given(t, codec, past...).State()
}
