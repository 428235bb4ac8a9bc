// Package snapshot loads streams with the state that their events lead to, without reading all of a long stream: it keeps states at some
// version of their streams, and reads the events after that.
//
// # What a stream leads to
//
// A [Config] has a name, and a function that says what an event does to a state: Evolve, the same as that of a decider. [New] makes a
// [Store] of it, one for a process. States are kept as JSON, or by a [Codec] of yours, as any bytes. [Check] tries out, in a test
// without a database, that a state comes back as it was.
//
// # Load, decide, save
//
// [Store.Load] gives a stream with its state, in one round trip; [Store.LoadOrNew] does for one that may not exist yet. Decide on
// [Loaded.State], append to [Loaded.Stream], and [Store.Save]. Load again after a version conflict. [Store.WithTx] does all of that in a
// transaction. A decider does it by itself, with decider.WithSnapshots, which takes a store.
//
// # When snapshots are made
//
// A [Policy] says how many events may follow a snapshot before the next one is due, and which calls look. The snapshot is then made in the
// background: one at a time, each of what is stored by then, with no more streams waiting than [Config].QueueSize. What goes wrong there is
// told to an [Observer], and reaches no caller; after a failure nothing is tried for a while. [Store.Flush] waits for what is under way,
// [Store.Close] ends it. [Store.Rebuild] makes one before it returns.
//
// # What is believed
//
// The events. A snapshot of another [Config].SchemaVersion is ignored, and made anew; so is one whose stream does not have the event that it
// was made at, as after a failover or a restore that lost the end of it; one whose bytes are not those that were kept; one that the codec
// or Evolve cannot work with. All snapshots may be deleted at any time. What nobody can see is that an earlier Evolve was wrong: count up
// SchemaVersion with each correction.
package snapshot
