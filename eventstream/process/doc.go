// Package process gets things done that take several steps and some time: it reacts to events, waits, and tells other systems.
//
// It stands on package subscription, and needs nothing of the database but its schema.
//
// # Timers
//
// [At] and [After] set a timer, [Cancel] removes it: in a transaction of yours, with Repository.WithTx, or at once. A [TimerRef] names it, and
// one that is set again takes the place of the first. [NewTimers] says who handles the timers of a process, and [Timers.Run] does it, in as
// many processes as you like: each timer once, in the transaction that removes it. One whose handler keeps failing is parked; [List] shows
// it, and [Retry] lets it go on.
//
// # Process managers
//
// A [Process] says which events are about the same thing (Key), and what to do about each (On), given what is known of that thing so far. Its
// handler gets a [Step]: [Step.State] is what is known, [Step.Append] appends, [Step.At], [Step.After] and [Step.Cancel] set timers
// that OnTimer handles, and [Step.End] says that all is done. [NewManager] makes it a subscription: state, checkpoint, events and timers are one
// transaction. [State] is for those who watch.
//
// Event ids are derived, by [EventID], from what a step reacts to: handled again, it appends nothing twice.
//
// # Other systems
//
// A [Publisher] hands events to another system, and [NewOutbox] feeds it: at least once, in order within each stream, and known by their
// ids. A [Webhook] is one: it posts signed requests, which a receiver in Go checks with a [WebhookVerifier], and others with any library for
// Standard Webhooks. [JudgeStatus] says what an answer means.
//
// # Errors
//
// A handler's error counts as that of a subscription's handler does: subscription.Permanent and subscription.RetryAfter say more. A
// [TimerError] tells of a timer. Values that cannot be are errors that match eventstream.ErrInvalidValue.
package process
