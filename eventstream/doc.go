// Package eventstream stores event streams in PostgreSQL without ever leaving a hole in one.
//
// A stream is the ordered history of one thing: an order, an account, a device. Its events have versions 1, 2, 3 ... The
// database itself refuses a gap, whoever writes; this package is the comfortable way in.
//
// # Making an event
//
// [NewEvent] takes a type and a payload, and options for the rest: [WithMetadata], [WithOccurredAt], [WithTenant],
// [WithEventID], and [WithData] for payloads that are not JSON. It refuses at once what the database could not hold.
// [EventOf] is the same for appends of one line: its error is that of the append. [DecodePayload] and [DecodeMetadata] give the values back.
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
// # The log
//
// The events of all streams are one log, in order of their positions. [Repository.ReadLog] goes through it, all of it or what a
// [LogFilter] selects, from a [Start] on: up to the stable position, below which nothing can appear any more. Each [LogEvent] is
// numbered without a hole, in the whole log and in its partition.
//
// # Decisions over streams
//
// Events carry tags ([WithTags], [Event.Tags]). [Repository.ReadQuery] gives those that match a [Query], and the position to decide on;
// [Repository.AppendIf] appends if nothing that matches came after it. [Repository.ReadQueryForUpdate] is for tags that many decide on at once.
//
// # Subscriptions
//
// [NewSubscription] and [Subscription.Run] hand every event to a handler, and remember how far they have come. A [TxHandler] writes
// to the same database, exactly once; an [EffectHandler] or an [AsyncHandler] does anything else, at least once.
// [SubscriptionConfig] says where to start, what to select, how many shards processes may share, and what to do about an event
// that cannot be handled: [Stop], [Park] or [ParkStream], then [Subscription.ReplayParked] or [Repository.SkipEvent]. A handler says more
// than yes or no with [Permanent], [RetryAfter] and [HandledFirst]; [EachEvent] makes one of a function for one event. An [Observer] is
// told what happens, [SlogObserver] by default.
// [Subscription.WaitFor] reads your own writes, [Subscription.Lag] says how far each shard is. Use one Repository in a process: it
// is what subscriptions share connections and a poller through.
//
// # Projections
//
// A [Projector] is a subscription that knows where its tables are, so that [Projector.Rebuild] can build them anew beside the live
// ones. An [InlineProjection] runs in the transaction of the append itself.
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
// else appended: load again and decide anew), [ErrGap] (events are missing: fill the hole with Ingest), [HandlerError] (a
// subscription stopped on an event) and [ErrInvalidValue] (a mistake in the program). Each message says what was wrong, both values, and what to do.
//
// # Out of order, and proof
//
// Ingest takes events that come with their versions, in any order; what leaves a hole waits, unseen by readers, until it is
// filled. Audit lets the database check every promise over all that is stored.
package eventstream
