package otelgapless

import (
	"bytes"
	"context"
	"encoding/json"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
)

// The keys of an event's metadata that say where it comes from, as W3C Trace Context names them.
const (
	keyParent = "traceparent"
	keyState  = "tracestate"
)

// ContextWithEvent is a context in which the span of the event's append is the parent of what begins there; without one, ctx as it is. For
// handlers that want a span of their own for each event: a subscription makes one for all that it hands to a handler at once.
func ContextWithEvent(ctx context.Context, event eventstream.Event) context.Context {
	if from := spanOf(event.Metadata); from.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, from)
	}
	return ctx
}

// withSpan adds the span of a context to metadata that say nothing of one.
func withSpan(ctx context.Context, metadata json.RawMessage) json.RawMessage {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return metadata
	}
	if fields := traceFields(metadata); fields[keyParent] != nil || fields[keyState] != nil {
		return metadata
	}
	rest := bytes.TrimSpace(metadata)
	if len(metadata) == 0 {
		rest = []byte("{}")
	}
	added, err := json.Marshal(carrier)
	if err != nil || len(rest) == 0 || rest[0] != '{' {
		return metadata // which the store refuses, and says why
	}
	rest = bytes.TrimSpace(rest[1:])
	joined := append(make([]byte, 0, len(added)+1+len(rest)), added[:len(added)-1]...)
	if len(rest) > 0 && rest[0] != '}' {
		joined = append(joined, ',')
	}
	return append(joined, rest...)
}

// spanOf is the span that metadata name; not a valid one if they name none.
func spanOf(metadata json.RawMessage) trace.SpanContext {
	fields := traceFields(metadata)
	if fields[keyParent] == nil {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{}
	for _, key := range []string{keyParent, keyState} {
		var value string
		if json.Unmarshal(fields[key], &value) == nil {
			carrier[key] = value
		}
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

// traceFields are the members of metadata, if one of them may be of ours: most metadata have none, and are not parsed.
func traceFields(metadata json.RawMessage) (fields map[string]json.RawMessage) {
	// Or its letters are escaped.
	if !bytes.Contains(metadata, []byte(`"trace`)) && !bytes.Contains(metadata, []byte(`\u`)) {
		return nil
	}
	if json.Unmarshal(metadata, &fields) != nil {
		return nil
	}
	return fields
}
