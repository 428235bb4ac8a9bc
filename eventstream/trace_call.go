package eventstream

import (
	"context"
	"slices"
)

// tracers are a Tracer and what else it is. A repository without one has none, and looks no further.
type tracers struct {
	Tracer
	metadata MetadataTracer
	batch    BatchTracer
	read     ReadTracer
	intake   IntakeTracer
}

func tracersOf(t Tracer) *tracers {
	if t == nil {
		return nil
	}
	all := &tracers{Tracer: t}
	all.metadata, _ = t.(MetadataTracer)
	all.batch, _ = t.(BatchTracer)
	all.read, _ = t.(ReadTracer)
	all.intake, _ = t.(IntakeTracer)
	return all
}

// appendTrace is what is told of one append.
type appendTrace struct {
	*tracers
	ctx context.Context //nolint:containedctx // what its tracer made of its caller's
	// requests have what a MetadataTracer added.
	requests []AppendRequest
	// sending is the batch that the append is in, for who sends it; batch is the one that settled it.
	sending, batch context.Context //nolint:containedctx // as above
}

// startAppend tells of an append that begins.
func (r *Repository) startAppend(ctx context.Context, requests []AppendRequest) *appendTrace {
	t := &appendTrace{tracers: r.trace, requests: requests}
	t.ctx = t.TraceAppendStart(ctx, AppendStart{Requests: requests})
	if t.metadata != nil {
		t.addMetadata()
	}
	return t
}

// addMetadata lets the tracer say something in the metadata of each event, in copies: the caller keeps what it has.
func (t *appendTrace) addMetadata() {
	t.requests = slices.Clone(t.requests)
	for n := range t.requests {
		events := slices.Clone(t.requests[n].Events)
		for i := range events {
			if more := t.metadata.TraceMetadata(t.ctx, events[i]); more != nil && checkMetadata(more) == nil {
				events[i].Metadata = more
			}
		}
		t.requests[n].Events = events
	}
}

// end tells of its end.
func (t *appendTrace) end(results []AppendResult, err error) {
	if err != nil {
		results = nil
	}
	t.TraceAppendEnd(t.ctx, AppendEnd{Requests: t.requests, Results: results, Err: err, Batch: t.batch})
}

// settled notes which batch settled the append. It belongs to a caller that has waited for that.
func (t *appendTrace) settled() {
	if t != nil {
		t.batch = t.sending
	}
}

// startBatch tells of a statement for items of the group, if somebody wants to know. What it returns tells of the end.
func (r *Repository) startBatch(ctx context.Context, items []*appendItem) (context.Context, func(error)) {
	if r.trace == nil || r.trace.batch == nil {
		return ctx, func(error) {}
	}
	start := BatchStart{Calls: make([]context.Context, len(items))}
	for i, item := range items {
		start.Calls[i] = item.trace.ctx
		start.Events += item.size.Count
	}
	ctx = r.trace.batch.TraceBatchStart(ctx, start)
	for _, item := range items {
		item.trace.sending = ctx
	}
	return ctx, func(err error) { r.trace.batch.TraceBatchEnd(ctx, BatchEnd{Err: err}) }
}

// readTrace is what is told of one reading; the zero value tells nobody.
type readTrace struct {
	tracer    ReadTracer
	ctx       context.Context //nolint:containedctx // what the tracer made of the caller's
	operation ReadOperation
}

// startRead tells that something is read, if somebody wants to know, and gives the context to read with.
func (r *Repository) startRead(ctx context.Context, operation ReadOperation, id StreamID) (context.Context, readTrace) {
	if r.trace == nil || r.trace.read == nil {
		return ctx, readTrace{}
	}
	ctx = r.trace.read.TraceReadStart(ctx, ReadStart{Operation: operation, StreamID: id})
	return ctx, readTrace{tracer: r.trace.read, ctx: ctx, operation: operation}
}

func (t readTrace) end(events int, err error) {
	if t.tracer != nil {
		t.tracer.TraceReadEnd(t.ctx, ReadEnd{Operation: t.operation, Events: events, Err: err})
	}
}

// loaded is end for a stream, which is nil with an error.
func (t readTrace) loaded(stream *EventStream, err error) {
	if t.tracer == nil {
		return
	}
	events := 0
	if stream != nil {
		events = len(stream.events)
	}
	t.end(events, err)
}

// startIntake tells that events are taken, if somebody wants to know. What it returns tells of the end.
func (r *Repository) startIntake(ctx context.Context, operation IntakeOperation, id StreamID) (context.Context, func(IntakeEnd)) {
	if r.trace == nil || r.trace.intake == nil {
		return ctx, func(IntakeEnd) {}
	}
	ctx = r.trace.intake.TraceIntakeStart(ctx, IntakeStart{Operation: operation, StreamID: id})
	return ctx, func(end IntakeEnd) {
		end.Operation = operation
		r.trace.intake.TraceIntakeEnd(ctx, end)
	}
}
