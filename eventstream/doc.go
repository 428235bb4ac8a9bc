// Package eventstream stores event streams in PostgreSQL without ever leaving a hole in one.
//
// A stream is the ordered history of one thing: an order, an account, a device. Its events have versions 1, 2, 3 ... The
// database itself refuses a gap, whoever writes; this package is the comfortable way in.
//
// # Making an event
//
// [NewEvent] takes a type and a payload, and options for the rest: [WithMetadata], [WithOccurredAt], [WithTenant],
// [WithEventID], and [WithData] for payloads that are not JSON. It refuses at once what the database could not hold.
// [DecodePayload] and [DecodeMetadata] give the values back.
//
// # Writing and reading
//
// NewRepository takes a connection pool. Append writes events to a stream in one round trip, under an [Expected] version:
// [Any], [Exists], [Empty] or [Exact]. Read gives a stream's events from a version on. An append that is repeated after a
// lost connection changes nothing, since event ids are unique in the store.
//
// # The aggregate
//
// [EventStream] is a stream in memory, for code that decides on the ground of what happened so far. Load brings one, or [New]
// makes an empty one; [EventStream.AppendEvent] adds to it, after [EventStream.ExpectVersion] if the decision depends on the
// version; Save writes [EventStream.NewEvents] and moves the [EventStream.Watermark]. [Reconstruct] and JSON decoding make a
// stream from its parts, and refuse parts that do not fit together.
//
// # Values
//
// [StreamID], [TenantID], [EventType] and [PartitionKey] have their rules here and, the same, in domains and CHECK
// constraints of the database. The functions New... check at once; a value made by conversion is checked where it is used.
// [PartitionOf] places a stream in one of a fixed number of partitions, and [PartitionKey.BelongsToNode] shares them out.
//
// # Errors
//
// Test for a condition with errors.Is, get at its data with errors.As. The ones to plan for are [ErrVersionConflict] (somebody
// else appended: load again and decide anew), [ErrGap] (events are missing: fill the hole with Ingest) and
// [ErrInvalidValue] (a mistake in the program). Each message says what was wrong, both values, and what to do.
//
// # Out of order, and proof
//
// Ingest takes events that come with their versions, in any order; what leaves a hole waits, unseen by readers, until it is
// filled. Audit lets the database check every promise over all that is stored.
package eventstream
