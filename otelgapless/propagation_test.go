package otelgapless_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest/pgtest"
	"github.com/gaplesspg/gapless/otelgapless"
)

// An append that is repeated has another span; it is a duplicate all the same, by every way to append, and the metadata of the first time stay.
func TestARetryWithAnotherSpanIsADuplicate(t *testing.T) {
	t.Parallel()
	o := setup(t)
	event := eventstream.EventOf("order.placed", 1, eventstream.WithTags("order:1"), eventstream.WithMetadata(map[string]string{"user": "u-1"}))
	request := eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: []eventstream.Event{event}}
	query := eventstream.Query{{Tags: []string{"order:1"}}}
	again := map[string]func(context.Context) ([]eventstream.AppendResult, error){
		"Append": func(ctx context.Context) ([]eventstream.AppendResult, error) {
			result, err := o.repo.Append(ctx, "order-1", eventstream.Any, event)
			return []eventstream.AppendResult{result}, err
		},
		"AppendMany": func(ctx context.Context) ([]eventstream.AppendResult, error) { return o.repo.AppendMany(ctx, request) },
		"AppendIf": func(ctx context.Context) ([]eventstream.AppendResult, error) {
			return o.repo.AppendIf(ctx, query, 0, request)
		},
		"WithTx": func(ctx context.Context) (results []eventstream.AppendResult, err error) {
			err = pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
				results, err = o.repo.WithTx(tx).AppendMany(ctx, request)
				return err
			})
			return results, err
		},
		"another process": func(ctx context.Context) ([]eventstream.AppendResult, error) {
			plain, err := eventstream.NewRepository(o.pool, nil)
			require.NoError(t, err)
			return plain.AppendMany(ctx, request)
		},
	}
	o.append(t.Context(), t, "order-0") // so that versions and positions differ
	require.NoError(t, errOf(o.repo.Append(t.Context(), "order-1", eventstream.Empty, event)))
	first := o.named("append")[1].SpanContext()
	for name, repeat := range again {
		results, err := repeat(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, []eventstream.AppendResult{{FirstVersion: 1, LastVersion: 1, LastPosition: 2, CurrentVersion: 1, Duplicate: true}}, results, name)
	}
	require.Len(t, o.named("append"), 6)
	stored, err := o.repo.Event(t.Context(), event.ID)
	require.NoError(t, err)
	require.Contains(t, string(stored.Metadata), first.SpanID().String())
	require.Equal(t, float64(4), number(t, o.collect(t)["gapless.append.duration"], "gapless.outcome", "duplicate"))
}

// What an event says of its trace by itself stays, and else nothing but the documented keys is added.
func TestNothingButTheDocumentedKeysIsAdded(t *testing.T) {
	t.Parallel()
	o := setup(t)
	const foreign = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		metadata string
		own      bool
	}{
		"none":               {"", false},
		"empty":              {" {} ", false},
		"others":             {`{"user": "u-1", "nested": {"traceparent": "x"}}`, false},
		"own":                {`{"traceparent": "` + foreign + `", "user": "u-1"}`, true},
		"own by an escape":   {`{"\u0074raceparent": "` + foreign + `"}`, true},
		"own and not a span": {`{"traceparent": null}`, true},
		"own state alone":    {`{"tracestate": "a=b"}`, true},
		"other case":         {`{"Traceparent": "x"}`, false},
	} {
		event := eventstream.EventOf("order.placed", 1)
		if c.metadata != "" {
			event.Metadata = json.RawMessage(c.metadata)
		}
		ctx := t.Context()
		require.NoError(t, errOf(o.repo.Append(ctx, "order-1", eventstream.Any, event)), name)
		stored, err := o.repo.Event(ctx, event.ID)
		require.NoError(t, err)
		before, after := map[string]any{}, map[string]any{}
		if c.metadata != "" {
			require.NoError(t, json.Unmarshal([]byte(c.metadata), &before))
		}
		require.NoError(t, json.Unmarshal(stored.Metadata, &after))
		if !c.own {
			require.Regexp(t, "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", after["traceparent"], name)
			delete(after, "traceparent")
		}
		require.Equal(t, before, after, name)
		require.Equal(t, event.Payload, stored.Payload)
		require.Equal(t, event.OccurredAt, stored.OccurredAt)
	}
}

func TestTraceStateTravels(t *testing.T) {
	t.Parallel()
	o := setup(t)
	state, err := trace.ParseTraceState(`vendor=a"b\c,other=1`)
	require.NoError(t, err)
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: [16]byte{1}, SpanID: [8]byte{2}, TraceFlags: trace.FlagsSampled, TraceState: state,
	}))
	event := o.append(ctx, t, "order-1")
	stored, err := o.repo.Event(t.Context(), event.ID)
	require.NoError(t, err)
	back := trace.SpanContextFromContext(otelgapless.ContextWithEvent(t.Context(), stored))
	require.Equal(t, state.String(), back.TraceState().String())
	require.Equal(t, trace.TraceID{1}, back.TraceID())
}

// What the store refuses it refuses as without a Tracer.
func TestMetadataThatAreRefusedAreRefusedAsTheyAre(t *testing.T) {
	t.Parallel()
	o := setup(t)
	for _, bad := range []string{`[]`, `7`, `{"a"`, `nonsense`, `{`} {
		event := eventstream.EventOf("order.placed", 1)
		event.Metadata = json.RawMessage(bad)
		want := event.Validate()
		require.Error(t, want)
		_, err := o.repo.Append(t.Context(), "order-1", eventstream.Any, event)
		require.EqualError(t, err, want.Error(), bad)
	}
}

// Without spans, or with NoPropagation, nothing is added at all.
func TestWithoutSpansMetadataStayAsTheyAre(t *testing.T) {
	t.Parallel()
	o := setup(t)
	silent, err := otelgapless.NewTracer(nil)
	require.NoError(t, err)
	kept, err := otelgapless.NewTracer(&otelgapless.Config{TracerProvider: o.provider, NoPropagation: true})
	require.NoError(t, err)
	pool := pgtest.Postgres(t)
	for _, tracer := range []*otelgapless.Tracer{silent, kept} {
		repo, err := eventstream.NewRepository(pool, &eventstream.Config{Tracer: tracer})
		require.NoError(t, err)
		event := eventstream.EventOf("order.placed", 1)
		require.NoError(t, errOf(repo.Append(t.Context(), "order-1", eventstream.Any, event)))
		stored, err := repo.Event(t.Context(), event.ID)
		require.NoError(t, err)
		require.JSONEq(t, `{}`, string(stored.Metadata))
	}
	require.Len(t, o.named("append"), 1)
}
