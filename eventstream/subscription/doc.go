// Package subscription does something with every event of a store, and never leaves one out.
//
// A subscription reads the log of all streams, hands the events to a handler, and remembers in the database how far it has come: its
// checkpoint. Any number of processes may run it. The code of this tour is that of the module's examples, which its tests compile and run;
// docs/subscriptions.md is the manual.
//
// # A handler
//
// A [TxHandler] writes to the same database, in the transaction in which the checkpoint moves: every event counts exactly once. An
// [EffectHandler] does anything else, at least once. [EachInTx] and [EachEvent] make them of a function for one event, and codec.Handlers of a
// function for each type of events. An [AsyncHandler] need not have finished when it returns.
//
//	handler := subscription.EachEvent(func(_ context.Context, event eventstream.LogEvent) error {
//		var order struct{ Address string }
//		if err := json.Unmarshal(event.Payload, &order); err != nil {
//			return subscription.Permanent(err) // no later try reads it either
//		}
//		return mail(event.StreamID, order.Address)
//	})
//
// # A subscription
//
// [New] describes a subscription of a repository, which is on a pool. [Config] says where it starts, what it selects, how many shards
// processes may share, and how long a handler may take. [Subscription.Run] creates it, if need be, and runs it until its context ends. All
// subscriptions of one repository share a poller and a bounded number of connections, and its appends wake them: so use one
// repository in a process.
//
//	return subscription.New(repo, "order-totals", subscription.TxHandler(add), &subscription.Config{
//		Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.item-added"}},
//	})
//
// [Subscription.WaitFor] lets a writer read its own writes.
//
// # When a handler fails
//
// It is tried again, event by event where need be. [Config.OnFailure] says what becomes of an event that it keeps failing on: [Stop], [Park]
// or [ParkStream]. A handler says more than yes or no with [Permanent], [RetryAfter] and [HandledFirst]. What was parked is given again by
// [Subscription.ReplayParked], or given up by [SkipEvent], which is on record.
//
//	for parked, err := range subscription.ParkedEvents(ctx, repo, s.Name()) {
//		if err != nil {
//			return errors.Join(err, stop())
//		}
//		fmt.Printf("parked %s %d after %d tries: %s\n", parked.StreamID, parked.Version, parked.Tries, parked.Error)
//	}
//
// # Projections
//
// A [Projector] is a subscription that knows where its tables are, so that [Projector.Rebuild] can build them anew beside the live ones,
// while these are read. A [Projection] says how to make the tables and what events mean in them, one by one with [ApplyEach] or [ApplyIn];
// [NewProjector] takes it.
//
// # Running all of a process
//
// A [Runner] runs the subscriptions and projections of a process, restarts what may be restarted ([MayRestart]), stops them in order, and
// tells how they are:
//
//	runner := &subscription.Runner{Jobs: jobs}
//	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
//		if err := runner.Healthy(r.Context(), time.Minute); err != nil {
//			http.Error(w, err.Error(), http.StatusServiceUnavailable)
//		}
//	})
//	return runner.Run(ctx)
//
// # Looking at them, and managing them
//
// [List] says how far every shard of every subscription is, and what it fails on ([ShardLag]); [Subscription.Lag] does for one. An [Observer]
// is told what happens as it happens: [SlogObserver], unless you say otherwise.
//
// [Reshard], [Reset], [Pause], [Resume], [Delete], [SkipEvent] and [ParkedEvents] take a repository and the name of a subscription, which need not
// run. With a repository in a transaction (WithTx) what they do is part of that.
//
// # Errors
//
// [HandlerError] is what ends a Run whose handler failed too often, with the event; [MismatchError] says that a name is taken by another
// configuration, [NotFoundError] that nobody has created it, [ProjectionMismatchError] that tables and checkpoint of a projection do not belong
// together. What readers of the log meet too, as BeyondLogError and UnreadableEventError, is in package eventstream, and so is ErrTxEnded.
package subscription
