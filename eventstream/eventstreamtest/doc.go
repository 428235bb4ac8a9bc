// Package eventstreamtest is what the tests of a service need, without a database.
//
// # Decisions
//
// [Rules] are the functions of a decider; a decider.Decider is converted to it. [Rules.Given] begins with what has happened,
// [Scenario.When] decides about a command, [Scenario.Then] and [Scenario.ThenError] say what must follow. [Fold] gives the state after some
// events. Values are made into events by a [Codec], such as a *codec.Registry.
//
// # Handlers and projections
//
// [Given] is a history of one or more streams, and [History.Handled] gives its log to a handler, in batches of any size.
//
// # A store in memory
//
// [Memory] is an eventstream.Store, for code that depends on that rather than on a Repository. It judges as PostgreSQL does: versions,
// expectations, repeated appends, tenants, partitions, the log and where reading it starts; it gives JSON back as jsonb prints it.
//
// [Conformance] is how that is known: a suite that runs on the repository and on the store in memory alike, and on a store of yours.
//
// # Old events
//
// [Golden] keeps events of every schema version in files, with what they decode to, so that nobody changes by accident what history says.
//
// # A database
//
// Package pgtest, a module of its own below this one, gives a test a migrated database.
package eventstreamtest
