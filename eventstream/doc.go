// Package eventstream stores event streams in PostgreSQL without ever leaving a hole in one.
//
// A stream is the ordered history of one thing: an order, an account, a device. Its events have versions 1, 2, 3 ... The
// database itself refuses a gap, whoever writes; this package is the comfortable way in. The code of this tour is that of the
// module's examples, which its tests compile and run.
//
// # Making an event
//
// [NewEvent] takes a type and a payload, and options for the rest: [WithMetadata], [WithOccurredAt], [WithTenant],
// [WithEventID], and [WithData] for payloads that are not JSON. It refuses at once what the database could not hold.
// [EventOf] is the same for appends of one line: its error is that of the append. [DecodePayload] and [DecodeMetadata] give the values back.
//
//	placed := eventstream.EventOf("order.placed", map[string]any{"total": 42})
//
// # Writing and reading
//
// [NewRepository] takes a connection pool, a connection or a transaction ([Handle]). [Repository.Append] writes events to a stream in one
// round trip, under an [Expected] version: [Any], [Exists], [Empty] or [Exact]. An append that is repeated after a lost connection changes
// nothing, since event ids are unique in the store. [Repository.AppendMany] appends to many streams, all or nothing.
//
//	if _, err := repo.Append(ctx, "order-1", eventstream.Empty, placed); err != nil {
//		return err
//	}
//
// [Repository.Read] gives a stream's events from a version on:
//
//	for event, err := range repo.Read(ctx, "order-1", eventstream.ReadOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.Version, event.Type, string(event.Payload))
//	}
//
// [Repository.WithTx] is the same repository in a transaction of yours: what it writes exists if and only if that commits.
//
// # The aggregate
//
// [EventStream] is a stream in memory, for code that decides on the ground of what happened so far. [Repository.Load] brings one, or [New]
// makes an empty one; [EventStream.AppendEvent] adds to it, after [EventStream.ExpectVersion] if the decision depends on the
// version; [Repository.Save] writes [EventStream.NewEvents] and moves the [EventStream.Watermark]. [Reconstruct] and JSON decoding make a
// stream from its parts, and refuse parts that do not fit together.
//
//	order, err := repo.Load(ctx, "order-1")
//	if err != nil {
//		return err
//	}
//	paid, err := eventstream.NewEvent("order.paid", map[string]any{"by": "card"})
//	if err != nil {
//		return err
//	}
//	if _, err := order.AppendEvent(paid); err != nil {
//		return err
//	}
//	if _, err := repo.Save(ctx, order); err != nil {
//		return err
//	}
//
// Package eventstream/decider is this loop for pure functions: load, decide, append, and again with what a conflict brought, which
// AppendRequest.Newer asks for. [Repository.Fold] goes through a stream in one round trip without holding it.
//
// # Snapshots
//
// [Repository.LoadOnSnapshot] loads a stream on top of a [Snapshot], if one can be believed, and [Repository.SaveSnapshot] keeps one. Package
// snapshot makes them of states, so that a long stream need not be read whole.
//
// # The log
//
// The events of all streams are one log, in order of their positions. [Repository.ReadLog] goes through it, all of it or what a
// [LogFilter] selects, from a [Start] on: up to the stable position, below which nothing can appear any more. Each [LogEvent] is
// numbered without a hole, in the whole log and in its partition.
//
//	for event, err := range repo.ReadLog(ctx, eventstream.LogOptions{
//		From:   eventstream.FromSequence(from),
//		Filter: eventstream.LogFilter{Category: "order"},
//	}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.Sequence, event.StreamID, event.Version, event.Type)
//	}
//
// [Repository.OpenLog] gives a [LogCursor] to code that pages by hand:
//
//	cursor, err := repo.OpenLog(ctx, eventstream.LogOptions{})
//
// What follows the log and does something with every event is package [github.com/gaplesspg/gapless/eventstream/subscription]. An
// [InlineProjection] is part of this package, since it runs in the transaction of the append itself.
//
// # Decisions over streams
//
// Events carry tags ([WithTags], [Event.Tags]). [Repository.ReadQuery] gives those that match a [Query], and the position to decide on;
// [Repository.AppendIf] appends if nothing that matches came after it. [Repository.ReadQueryForUpdate] is for tags that many decide on at once.
//
// # Values
//
// [StreamID], [TenantID], [EventType] and [PartitionKey] have their rules here and, the same, in the database. The functions New... check
// at once; a value made by conversion is checked where it is used. [PartitionOf] places a stream in one of a fixed number of
// partitions, and [PartitionKey.BelongsToNode] shares them out.
//
// # Errors
//
// Test for a condition with errors.Is, get at its data with errors.As. The ones to plan for are [ErrVersionConflict] (somebody
// else appended: load again and decide anew), [ErrGap] (events are missing: fill the hole with Ingest) and [ErrInvalidValue] (a mistake
// in the program). [SafeToRetry] says whether the same call may help. Each message says what was wrong, both values, and what to do.
//
//	_, err = repo.Append(ctx, "order-1", eventstream.Exact(1), cancelled)
//	var conflict *eventstream.VersionConflictError
//	if !errors.As(err, &conflict) {
//		return err
//	}
//	fmt.Println("expected version", conflict.Expected, "but it is", conflict.Actual)
//
// # Out of order, and proof
//
// [Repository.Ingest] takes events that come with their versions, in any order; what leaves a hole waits, unseen by readers, until it is
// filled. [Repository.Import] brings the history of another store. [Repository.Audit] lets the database check every promise over all
// that is stored, and says of each finding how bad it is ([Severity]).
package eventstream
