package codec_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// seen is what functions of a test were called with.
type seen struct{ calls []string }

// noting makes a function for values of T that notes them.
func noting[T any](_ context.Context, s *seen, event eventstream.LogEvent, value T) error {
	s.calls = append(s.calls, fmt.Sprintf("%s %T%+v", event.Type, value, value))
	return nil
}

func handlers(t *testing.T, registry *codec.Registry, options ...codec.HandlersOption[*seen]) *codec.Handlers[*seen] {
	t.Helper()
	h, err := codec.NewHandlers(registry, options...)
	require.NoError(t, err)
	return h
}

// handled is what the functions see of events.
func handled(t *testing.T, h *codec.Handlers[*seen], events ...eventstream.Event) []string {
	t.Helper()
	s := &seen{}
	for _, e := range events {
		require.NoError(t, h.With(s)(t.Context(), eventstream.LogEvent{Event: e}))
	}
	return s.calls
}

// Each function gets the values of its type, from events of each schema version, each name, and of each event that is several by now.
func TestHandlersGetGoldenEventsOfThreeSchemaVersions(t *testing.T) {
	t.Parallel()
	h := handlers(t, shop(t), codec.On(noting[customerRegistered]), codec.On(noting[itemAdded]))
	renamed := stored(t, "customer.v3.json")
	renamed.Type = "user.created"
	require.Equal(t, []string{
		"user.created codec_test.customerRegistered{Name:Ada Lovelace Country:GB Credit:9007199254740900}",
		"customer.registered codec_test.customerRegistered{Name:Alan Turing Country:GB Credit:700}",
		"user.created codec_test.customerRegistered{Name:Grace Hopper Country:US Credit:1250}",
		"order.placed codec_test.itemAdded{SKU:A-1 Quantity:1}", "order.placed codec_test.itemAdded{SKU:B-2 Quantity:1}",
	}, handled(t, h, stored(t, "customer.v1.json"), stored(t, "customer.v2.json"), renamed, stored(t, "order.v1.json"),
		anEvent(t, "page.seen", `{"path": "/"}`, 2)))
}

// The filter has what can lead to a function, and nothing else: what it leaves out is not even decoded.
func TestHandlersTypesAreThoseThatLeadToAFunction(t *testing.T) {
	t.Parallel()
	registry := shop(t, codec.KeepUnknown(), codec.KeepErased())
	for _, c := range []struct {
		h    *codec.Handlers[*seen]
		want []eventstream.EventType
	}{
		{handlers(t, registry, codec.On(noting[pageSeen])), []eventstream.EventType{"order.placed", "page.seen"}},
		{handlers(t, registry, codec.On(noting[customerRegistered])), []eventstream.EventType{"customer.registered", "order.placed", "user.created"}},
		{
			handlers(t, registry, codec.On(noting[codec.Erased])),
			[]eventstream.EventType{"customer.registered", "order.item_added", "order.placed", "page.seen", "user.created"},
		},
		{handlers(t, registry, codec.On(noting[codec.Raw]), codec.On(noting[pageSeen])), nil},
		{handlers(t, registry, codec.On(noting[pageSeen]), codec.Otherwise(noting[any])), nil},
	} {
		require.Equal(t, c.want, c.h.Types())
	}
	broken := anEvent(t, "customer.registered", `{"name": 7}`, 3)
	require.Empty(t, handled(t, handlers(t, registry, codec.On(noting[pageSeen])), broken))
}

// What has no function is skipped, or goes to that of all others, which may refuse it.
func TestHandlersOtherwise(t *testing.T) {
	t.Parallel()
	registry := shop(t, codec.KeepUnknown(), codec.KeepErased())
	erased := anEvent(t, "page.seen", `{}`, 0)
	erased.Payload, erased.Metadata, erased.Erased = nil, []byte(`{"$erased": true}`), true
	events := []eventstream.Event{
		anEvent(t, "page.seen", `{"path": "/"}`, 2), anEvent(t, "order.item_added", `{"sku": "A-1"}`, 2), anEvent(t, "no.such", `{}`, 0), erased,
	}
	require.Equal(t, []string{"page.seen codec_test.pageSeen{Path:/}"}, handled(t, handlers(t, registry, codec.On(noting[pageSeen])), events...))
	calls := handled(t, handlers(t, registry, codec.On(noting[pageSeen]), codec.Otherwise(noting[any])), events...)
	require.Len(t, calls, 4)
	require.Equal(t, "order.item_added codec_test.itemAdded{SKU:A-1 Quantity:0}", calls[1])
	require.Contains(t, calls[2], "no.such codec.Raw")
	require.Contains(t, calls[3], "page.seen codec.Erased")
	require.Len(t, handled(t, handlers(t, registry, codec.On(noting[codec.Erased])), events...), 1)
	require.Len(t, handled(t, handlers(t, registry, codec.On(noting[codec.Raw])), events...), 1)

	errNoFunction := errors.New("no function for it")
	refusing := handlers(t, registry, codec.Otherwise(func(context.Context, *seen, eventstream.LogEvent, any) error { return errNoFunction }))
	require.Same(t, errNoFunction, refusing.Handle(t.Context(), nil, eventstream.LogEvent{Event: events[0]}))
}

// An error of a function comes back as it is, and ends the event.
func TestHandlersKeepTheErrorOfAFunction(t *testing.T) {
	t.Parallel()
	own, calls := errors.New("no route to the mail server"), 0
	h := handlers(t, shop(t), codec.On(func(context.Context, *seen, eventstream.LogEvent, itemAdded) error {
		calls++
		return own
	}))
	require.Same(t, own, h.Handle(t.Context(), nil, eventstream.LogEvent{Event: stored(t, "order.v1.json")}))
	require.Equal(t, 1, calls, "of two values")
}

// What cannot be decoded is an error that names the event.
func TestHandlersNameTheEventThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	h := handlers(t, shop(t), codec.On(noting[customerRegistered]))
	erased := anEvent(t, "user.created", `{}`, 0)
	erased.Payload, erased.Metadata, erased.Erased = nil, []byte(`{"$erased": true}`), true
	for _, c := range []struct {
		event eventstream.Event
		as    any
	}{
		{anEvent(t, "customer.registered", `{"name": 7}`, 3), new(*codec.DecodeError)},
		{anEvent(t, "customer.registered", `{}`, 4), new(*codec.UnknownEventError)},
		{erased, new(*codec.ErasedEventError)},
	} {
		err := h.Handle(t.Context(), &seen{}, eventstream.LogEvent{Event: c.event})
		require.ErrorAs(t, err, c.as)
		require.ErrorContains(t, err, c.event.ID.String())
	}
}

// Another function than the registry's may decode, as that of package shred does.
func TestHandlersDecodedBy(t *testing.T) {
	t.Parallel()
	h := handlers(t, shop(t), codec.On(noting[pageSeen]), codec.DecodedBy[*seen](func(context.Context, eventstream.Event) ([]any, error) {
		return []any{pageSeen{Path: "/decrypted"}}, nil
	}))
	require.Equal(t, []string{"page.seen codec_test.pageSeen{Path:/decrypted}"}, handled(t, h, anEvent(t, "page.seen", `{}`, 2)))
}

func TestNewHandlersRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	type stranger struct{}
	on := codec.On(noting[pageSeen])
	for want, options := range map[string][]codec.HandlersOption[*seen]{
		"codec_test.stranger":                  {codec.On(noting[stranger])},
		"interface {}":                         {codec.On(noting[any])},
		"codec.Raw":                            {codec.On(noting[codec.Raw])},
		"codec.Erased":                         {codec.On(noting[codec.Erased])},
		`pageSeen "given twice"`:               {on, codec.On(noting[pageSeen])},
		`Otherwise "given twice"`:              {codec.Otherwise(noting[any]), codec.Otherwise(noting[any])},
		`handler of codec_test.pageSeen "nil"`: {codec.On[*seen, pageSeen](nil)},
		`Otherwise "nil"`:                      {codec.Otherwise[*seen](nil)},
		`DecodedBy "nil"`:                      {on, codec.DecodedBy[*seen](nil)},
		`option 2 "nil"`:                       {on, nil},
		"at least 1":                           nil,
	} {
		_, err := codec.NewHandlers(shop(t), options...)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, want)
		require.ErrorContains(t, err, want)
	}
	_, err := codec.NewHandlers(nil, on)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
}

// One kind of handlers fits all that get events: the compiler says so.
func TestHandlersFitWhateverGetsEvents(t *testing.T) {
	t.Parallel()
	type state struct{}
	var (
		inTx    codec.Handlers[pgx.Tx]
		tables  codec.Handlers[subscription.Tables]
		effects codec.Handlers[*seen]
		steps   codec.Handlers[*process.Step[state]]
	)
	require.NotNil(t, subscription.EachInTx(inTx.Handle))
	require.NotNil(t, subscription.ApplyIn(tables.Handle))
	require.NotNil(t, subscription.EachEvent(effects.With(&seen{})))
	require.NotNil(t, process.Process[state]{On: steps.Handle})
}
