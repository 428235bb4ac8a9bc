package otelgapless_test

import (
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
)

func versioned(version int64) eventstream.Event {
	event := eventstream.EventOf("order.placed", version)
	event.Version = version
	return event
}

// An Ingest has one span, with what became of its events; a version that is taken is an answer.
func TestSpanOfAnIngest(t *testing.T) {
	t.Parallel()
	o := setup(t)
	ctx, root := o.root(t, "request")
	second := versioned(2)
	for _, events := range [][]eventstream.Event{{second}, {versioned(1), second}} {
		_, err := o.repo.Ingest(ctx, "order-1", events...)
		require.NoError(t, err)
	}
	_, err := o.repo.Ingest(ctx, "order-1", versioned(2))
	require.ErrorAs(t, err, new(*eventstream.IngestConflictError))
	_, err = o.repo.Ingest(ctx, "", versioned(2))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	root.End()
	spans := o.named("ingest")
	require.Len(t, spans, 4)
	for i, want := range []struct{ appended, pending, duplicates, outcome string }{
		{"0", "1", "0", "done"}, {"2", "0", "1", "done"}, {"0", "0", "0", "version_conflict"}, {"0", "0", "0", "invalid"},
	} {
		require.Equal(t, []string{want.appended, want.pending, want.duplicates, want.outcome}, []string{
			attributeOf(spans[i], "gapless.appended"), attributeOf(spans[i], "gapless.pending"),
			attributeOf(spans[i], "gapless.duplicates"), attributeOf(spans[i], "gapless.outcome"),
		})
		require.Equal(t, root.SpanContext().SpanID(), spans[i].Parent().SpanID())
		require.Equal(t, trace.SpanKindClient, spans[i].SpanKind())
		require.Equal(t, i == 3, spans[i].Status().Code == codes.Error)
	}
	require.Equal(t, "order-1", attributeOf(spans[0], "gapless.stream.id"))
}

// An Import has one span, however many chunks and events, also where its source fails.
func TestSpanOfAnImport(t *testing.T) {
	t.Parallel()
	o := setup(t)
	failed := errors.New("the file ends here")
	source := func(err error) iter.Seq2[eventstream.Event, error] {
		return func(yield func(eventstream.Event, error) bool) {
			for version := range int64(eventstream.MaxImportEvents + 10) {
				event := versioned(version + 1)
				event.ID, event.StreamID = [16]byte{1, byte(version >> 16), byte(version >> 8), byte(version)}, "order-1"
				if !yield(event, nil) {
					return
				}
			}
			if err != nil {
				yield(eventstream.Event{}, err)
			}
		}
	}
	_, err := o.repo.Import(t.Context(), source(failed))
	require.ErrorIs(t, err, failed)
	result, err := o.repo.Import(t.Context(), source(nil))
	require.NoError(t, err)
	require.Equal(t, int64(10), result.Imported)
	spans := o.named("import")
	require.Len(t, spans, 2)
	require.Equal(t, codes.Error, spans[0].Status().Code)
	require.Equal(t, "error", attributeOf(spans[0], "gapless.outcome"))
	require.Equal(t, attributeOf(spans[0], "gapless.appended"), attributeOf(spans[1], "gapless.duplicates"))
	require.Equal(t, []string{"10", "done"}, []string{attributeOf(spans[1], "gapless.appended"), attributeOf(spans[1], "gapless.outcome")})
	require.Empty(t, o.named("append"))
}
