// Package otelgapless tells OpenTelemetry what a Gapless store does: a module of its own, so that nobody else depends on OpenTelemetry. It
// needs its API alone; the SDK, the exporters and where they send to are the service's.
//
//	tracer, err := otelgapless.NewTracer(nil)
//	repo, err := eventstream.NewRepository(pool, &eventstream.Config{Tracer: tracer})
//	registration, err := otelgapless.ObserveStore(pool, nil)
//
// # Traces
//
// A [Tracer] makes a span of each append, load, read, Ingest and Import, and of each call of a handler. An event carries the span of its append in its metadata, as W3C has
// it: under the key "traceparent", and "tracestate" where there is one. An event that has either of its own keeps it. The
// handler's span links to those of the events that it gets, through the database and however much later; what the handler appends with the
// context that it was given is in its trace. [ContextWithEvent] goes on with the trace of an event in other code.
//
// A timer carries the span that it was set in, and the span of its firing links to that.
//
// Appends that share a statement (eventstream.GroupConfig) have a span for that, "append batch", in the trace of the first of them that is
// sampled, which links to all of them, and they to it. Spans of pgx are below it.
//
// The two keys are all that changes in what is stored. An append that is repeated has another span, and is a duplicate all the same: metadata do
// not count there, and those of the first time stay, with the trace in which the events were written. What comes by Ingest and Import gets no
// keys, since it was written elsewhere.
//
// # Metrics
//
// The Tracer counts and times what its process does; [ObserveStore] what the database knows, whichever process did it, by one statement for all
// instruments; [ObservePool] is for the pool. [Metrics] lists all; docs/monitoring.md says what to do about them.
package otelgapless
