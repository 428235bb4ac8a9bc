package codec

import (
	"context"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Handlers hands the values of events to functions, one for each Go type. In is what these get besides: the transaction of a
// subscription.TxHandler, the subscription.Tables of a projection, the *process.Step of a process manager, or whatever effects are made with.
// It does not change once it is made, and is safe for use by several goroutines if the functions are.
type Handlers[In any] struct {
	decode func(ctx context.Context, e eventstream.Event) ([]any, error)
	routes map[reflect.Type]handle[In]
	others handle[In]
	// types are those of events whose values may have a route; nil if others see all there are.
	types map[eventstream.EventType]bool
}

type handle[In any] func(ctx context.Context, in In, event eventstream.LogEvent, value any) error

// HandlersOption is an argument of NewHandlers: On, Otherwise or DecodedBy.
type HandlersOption[In any] func(*Registry, *Handlers[In]) error

// NewHandlers makes Handlers of functions, one by On for each Go type. It returns an *eventstream.InvalidValueError for a Go type that the
// registry does not have or that is handled twice, for nil, and if there is no function at all.
func NewHandlers[In any](r *Registry, options ...HandlersOption[In]) (*Handlers[In], error) {
	if r == nil {
		return nil, invalid.Value("registry", "nil", "one that New made")
	}
	h := &Handlers[In]{
		decode: func(_ context.Context, e eventstream.Event) ([]any, error) { return r.Decode(e) },
		routes: map[reflect.Type]handle[In]{},
	}
	for i, option := range options {
		if option == nil {
			return nil, invalid.Value("option "+strconv.Itoa(i+1), "nil", "On, Otherwise or DecodedBy")
		}
		if err := option(r, h); err != nil {
			return nil, err
		}
	}
	if len(h.routes) == 0 && h.others == nil {
		return nil, invalid.Value("handlers", "none", "at least 1: add On for a type, or Otherwise")
	}
	if h.others == nil && h.routes[rawType] == nil {
		h.types = r.namesOf(maps.Keys(h.routes))
	}
	return h, nil
}

// On has values of T handled by a function: T is a type that the registry has by Event, or Raw with KeepUnknown, or Erased with KeepErased. An
// event that is several values today calls it for each that is a T.
func On[In, T any](do func(ctx context.Context, in In, event eventstream.LogEvent, value T) error) HandlersOption[In] {
	return func(r *Registry, h *Handlers[In]) error {
		t := reflect.TypeFor[T]()
		switch {
		case do == nil:
			return invalid.Value("handler of "+t.String(), "nil", "a function")
		case !r.gives(t):
			return invalid.Value("handler of "+t.String(), "a type that the registry does not give", "of a type that codec.New was given an Event of")
		case h.routes[t] != nil:
			return invalid.Value("handler of "+t.String(), "given twice", "given once")
		}
		h.routes[t] = func(ctx context.Context, in In, event eventstream.LogEvent, value any) error {
			return do(ctx, in, event, value.(T))
		}
		return nil
	}
}

// Otherwise has values handled that no On is for. Default: they are skipped.
func Otherwise[In any](do func(ctx context.Context, in In, event eventstream.LogEvent, value any) error) HandlersOption[In] {
	return func(_ *Registry, h *Handlers[In]) error {
		switch {
		case do == nil:
			return invalid.Value("Otherwise", "nil", "a function")
		case h.others != nil:
			return invalid.Value("Otherwise", "given twice", "given once")
		}
		h.others = do
		return nil
	}
}

// DecodedBy has events decoded by another function than Registry.Decode, which must give values of the same types: shred.Codec.Decode reads
// personal fields.
func DecodedBy[In any](decode func(ctx context.Context, e eventstream.Event) ([]any, error)) HandlersOption[In] {
	return func(_ *Registry, h *Handlers[In]) error {
		if decode == nil {
			return invalid.Value("DecodedBy", "nil", "a function")
		}
		h.decode = decode
		return nil
	}
}

// Handle calls the functions for the values of an event, in the order of Decode, until one returns an error, which comes back as it is. Values
// without a function are skipped, and an event that can have none but these is not decoded. What cannot be decoded is an error that names the
// event: a *DecodeError, an *UnknownEventError or an *ErasedEventError.
func (h *Handlers[In]) Handle(ctx context.Context, in In, event eventstream.LogEvent) error {
	if h.types != nil && !h.types[event.Type] {
		return nil
	}
	values, err := h.decode(ctx, event.Event)
	if err != nil {
		return err
	}
	for _, value := range values {
		do := h.routes[reflect.TypeOf(value)]
		if do == nil {
			do = h.others
		}
		if do == nil {
			continue
		}
		if err := do(ctx, in, event, value); err != nil {
			return err
		}
	}
	return nil
}

// With is Handle with what its functions get, for a subscription.EachEvent.
func (h *Handlers[In]) With(in In) func(ctx context.Context, event eventstream.LogEvent) error {
	return func(ctx context.Context, event eventstream.LogEvent) error { return h.Handle(ctx, in, event) }
}

// Types are the types of the events that can have a value with a function, sorted: for the LogFilter of a subscription, so that the server
// leaves out all others. Former names are among them, and types that have a Split, whose values are known once it has made them; with On for
// Erased, all that the registry has. With Otherwise, or On for Raw, it is nil, which selects all.
//
// The list changes with the functions, and with the registry. A subscription keeps the filter that it was created with, and refuses another: one
// that is to learn new types as it goes gets a Category in place of Types. A projection takes it over when it is rebuilt.
func (h *Handlers[In]) Types() []eventstream.EventType { return slices.Sorted(maps.Keys(h.types)) }

var rawType, erasedType = reflect.TypeFor[Raw](), reflect.TypeFor[Erased]()

// gives says whether Decode can give values of a Go type.
func (r *Registry) gives(t reflect.Type) bool {
	switch t {
	case rawType:
		return r.keepUnknown
	case erasedType:
		return r.keepErased
	}
	return r.values[t] != nil && t.Kind() != reflect.Interface
}

// namesOf are the names of events that may decode to a value of one of the Go types.
func (r *Registry) namesOf(routed iter.Seq[reflect.Type]) map[eventstream.EventType]bool {
	wanted, all := map[*eventType]bool{}, false
	for t := range routed {
		wanted[r.values[t]] = true
		all = all || t == erasedType
	}
	names := map[eventstream.EventType]bool{}
	for name, t := range r.names {
		if t.splits || wanted[t] || all && !t.ignored {
			names[name] = true
		}
	}
	return names
}
