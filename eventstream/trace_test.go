package eventstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// answering is a database that takes every append of one event, and fails on all else.
type answering struct{}

var errUnexpected = errors.New("unexpected statement")

func (answering) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, errUnexpected
}

func (answering) Query(context.Context, string, ...any) (pgx.Rows, error) {
	return nil, errUnexpected
}

func (answering) QueryRow(context.Context, string, ...any) pgx.Row { return appendedRow{} }

type appendedRow struct{}

func (appendedRow) Scan(dest ...any) error {
	for _, d := range dest {
		switch d := d.(type) {
		case *string:
			*d = "appended"
		case *int64:
			*d = 1
		case *int32:
			*d = 1
		}
	}
	return nil
}

func oneEvent() eventstream.Event {
	event := eventstream.Event{Type: "order.placed", Payload: []byte(`{"total":42}`), OccurredAt: time.Now()}
	event.ID[0] = 1
	return event
}

// allocationsOfAppend is what an append of one event allocated before there was a Config.Tracer.
const allocationsOfAppend = 19

// A repository without a Tracer does not pay for what there could be one for.
func TestAppendsWithoutATracerAllocateNothingForIt(t *testing.T) {
	repo, err := eventstream.NewRepository(answering{}, nil)
	require.NoError(t, err)
	event := oneEvent()
	allocations := testing.AllocsPerRun(1000, func() {
		if _, err := repo.Append(t.Context(), "order-1", eventstream.Any, event); err != nil {
			panic(err)
		}
	})
	require.LessOrEqual(t, allocations, float64(allocationsOfAppend))
}

// What an append costs beside the database: docs/monitoring.md has the figures.
func BenchmarkAppend(b *testing.B) {
	for name, tracer := range map[string]eventstream.Tracer{"without a tracer": nil, "with one that does nothing": appendTracer{}} {
		b.Run(name, func(b *testing.B) {
			repo, err := eventstream.NewRepository(answering{}, &eventstream.Config{Tracer: tracer})
			require.NoError(b, err)
			event := oneEvent()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := repo.Append(b.Context(), "order-1", eventstream.Any, event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// appendTracer is the least that a Tracer is.
type appendTracer struct{}

func (appendTracer) TraceAppendStart(ctx context.Context, _ eventstream.AppendStart) context.Context {
	return ctx
}
func (appendTracer) TraceAppendEnd(context.Context, eventstream.AppendEnd) {}

// noting is a Tracer that keeps what it is told, and gives metadata.
type noting struct {
	metadata json.RawMessage
	starts   []eventstream.AppendStart
	ends     []eventstream.AppendEnd
	reads    []eventstream.ReadEnd
}

type notingKey struct{}

func (n *noting) TraceAppendStart(ctx context.Context, start eventstream.AppendStart) context.Context {
	n.starts = append(n.starts, start)
	return context.WithValue(ctx, notingKey{}, "append")
}

func (n *noting) TraceAppendEnd(ctx context.Context, end eventstream.AppendEnd) {
	if ctx.Value(notingKey{}) == "append" {
		n.ends = append(n.ends, end)
	}
}

func (n *noting) TraceMetadata(ctx context.Context, _ eventstream.Event) json.RawMessage {
	if ctx.Value(notingKey{}) != "append" {
		return nil
	}
	return n.metadata
}

func (n *noting) TraceReadStart(ctx context.Context, _ eventstream.ReadStart) context.Context {
	return context.WithValue(ctx, notingKey{}, "read")
}

func (n *noting) TraceReadEnd(ctx context.Context, end eventstream.ReadEnd) {
	if ctx.Value(notingKey{}) == "read" {
		n.reads = append(n.reads, end)
	}
}

// A Tracer is told of begin and end, refusals before the database included, and what it says in metadata does not change the caller's events.
func TestTracerIsToldOfAppends(t *testing.T) {
	t.Parallel()
	tracer := &noting{metadata: json.RawMessage(`{"traceparent": "x"}`)}
	repo, err := eventstream.NewRepository(answering{}, &eventstream.Config{Tracer: tracer})
	require.NoError(t, err)
	event := oneEvent()
	result, err := repo.Append(t.Context(), "order-1", eventstream.Any, event)
	require.NoError(t, err)
	require.Nil(t, event.Metadata)
	require.Nil(t, tracer.starts[0].Requests[0].Events[0].Metadata)
	require.Equal(t, []eventstream.AppendResult{result}, tracer.ends[0].Results)
	require.NoError(t, tracer.ends[0].Err)
	require.Equal(t, tracer.metadata, tracer.ends[0].Requests[0].Events[0].Metadata)
	require.Nil(t, tracer.ends[0].Batch, "not on a pool")

	_, err = repo.Append(t.Context(), "", eventstream.Any, event)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = repo.AppendMany(t.Context())
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = repo.AppendIf(t.Context(), nil, 0)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.Len(t, tracer.ends, 4)
	for _, end := range tracer.ends[1:] {
		require.ErrorIs(t, end.Err, eventstream.ErrInvalidValue)
		require.Nil(t, end.Results)
	}
}

// What a Tracer gives for metadata and cannot be stored is ignored: it fails no append.
func TestTracersMetadataThatCannotBeStoredAreIgnored(t *testing.T) {
	t.Parallel()
	own := json.RawMessage(`{"user": "u-1"}`)
	large := `{"user": "` + strings.Repeat("x", eventstream.MaxJSONBytes) + `"}`
	for _, bad := range []string{"", "[]", "{", `{"tags": 7}`, `{"a": "\u0000"}`, large} {
		tracer := &noting{}
		if bad != "" {
			tracer.metadata = json.RawMessage(bad)
		}
		repo, err := eventstream.NewRepository(answering{}, &eventstream.Config{Tracer: tracer})
		require.NoError(t, err)
		event := oneEvent()
		event.Metadata = own
		_, err = repo.Append(t.Context(), "order-1", eventstream.Any, event)
		require.NoError(t, err, "%.20s", bad)
		require.Equal(t, own, tracer.ends[0].Requests[0].Events[0].Metadata)
	}
}

// Reading that fails is told of too.
func TestTracerIsToldOfReadingThatFails(t *testing.T) {
	t.Parallel()
	tracer := &noting{}
	repo, err := eventstream.NewRepository(answering{}, &eventstream.Config{Tracer: tracer})
	require.NoError(t, err)
	ctx := t.Context()
	_, err = repo.Load(ctx, "order-1")
	require.ErrorIs(t, err, errUnexpected)
	_, _, err = repo.LoadOnSnapshot(ctx, "order-1", eventstream.SnapshotKind{Name: "total", SchemaVersion: 1})
	require.ErrorIs(t, err, errUnexpected)
	require.ErrorIs(t, repo.Fold(ctx, "order-1", 0, func(eventstream.Event) error { return nil }), errUnexpected)
	for _, err = range repo.Read(ctx, "order-1", eventstream.ReadOptions{}) {
		require.ErrorIs(t, err, errUnexpected)
	}
	_, _, err = repo.ReadQuery(ctx, nil, 0)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, _, err = repo.ReadQueryForUpdate(ctx, nil, 0)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	var operations []eventstream.ReadOperation
	for _, read := range tracer.reads {
		require.Error(t, read.Err)
		operations = append(operations, read.Operation)
	}
	require.Equal(t, []eventstream.ReadOperation{"load", "load", "fold", "read", "read_query", "read_query"}, operations)
}

// intakeNoting keeps what it is told of events from elsewhere.
type intakeNoting struct {
	appendTracer
	starts []eventstream.IntakeStart
	ends   []eventstream.IntakeEnd
}

func (n *intakeNoting) TraceIntakeStart(ctx context.Context, start eventstream.IntakeStart) context.Context {
	n.starts = append(n.starts, start)
	return context.WithValue(ctx, notingKey{}, "intake")
}

func (n *intakeNoting) TraceIntakeEnd(ctx context.Context, end eventstream.IntakeEnd) {
	if ctx.Value(notingKey{}) == "intake" {
		n.ends = append(n.ends, end)
	}
}

// Ingest and Import are told of once a call, also if nothing was sent.
func TestTracerIsToldOfWhatComesFromElsewhere(t *testing.T) {
	t.Parallel()
	tracer := &intakeNoting{}
	repo, err := eventstream.NewRepository(answering{}, &eventstream.Config{Tracer: tracer})
	require.NoError(t, err)
	_, err = repo.Ingest(t.Context(), "order-1", oneEvent())
	require.ErrorIs(t, err, eventstream.ErrInvalidValue, "no version")
	_, err = repo.Import(t.Context(), nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.Equal(t, []eventstream.IntakeStart{
		{Operation: eventstream.OperationIngest, StreamID: "order-1"}, {Operation: eventstream.OperationImport},
	}, tracer.starts)
	require.Len(t, tracer.ends, 2)
	for i, end := range tracer.ends {
		require.Equal(t, tracer.starts[i].Operation, end.Operation)
		require.ErrorIs(t, end.Err, eventstream.ErrInvalidValue)
		require.Zero(t, end.Appended)
	}
}
