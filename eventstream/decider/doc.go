// Package decider handles commands: it loads what happened, lets pure functions decide, and appends what they decided, again and again while
// other writers are faster. It stands on package eventstream, and can be left out.
//
// # Rules
//
// A [Decider] is the rules of one kind of thing: Initial, Decide and Evolve. They do no I/O, so they are tested by calling them.
// [Typed] is the same over event types of your own, given two functions that encode and decode them.
//
// # Handling a command
//
// [Decider.Handle] takes a stream and a command through load, decide and append: two round trips, as [eventstream.Repository.Load] and Append by
// hand, in memory for one event at a time however long the stream is. The append expects the version that was loaded. If somebody
// else was faster, the refusal brings what they appended, and the decision is made again without reading: [WithTries] and [WithBackoff]
// bound that, and a [TriesError] says that they did. An error of Decide is yours, and comes back as it is. [Result] says what became of it.
//
// [WithSnapshots] is for long streams: Handle begins with a snapshot's state, and reads what came after it.
//
// # Commands that count once
//
// [WithCommandID] makes a command idempotent: the ids of its events follow from its own ([EventID]). A client that has no answer sends the
// command again and gets the first result, even when the rules would say no by now.
//
// # Several streams
//
// [Decider.HandleAcross] decides about several streams and appends to all of them or to none. [Together] gives the decision the state of each,
// and [On] says where an event belongs.
//
// # Errors
//
// Besides those of package eventstream there are [TriesError] (others were faster each time) and [EvolveError] (an event that Evolve refuses).
package decider
