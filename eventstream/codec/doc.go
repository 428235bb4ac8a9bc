// Package codec gives events Go types: a name in the store for each, and a way to read what older programs wrote.
//
// # A registry
//
// [New] makes a [Registry] of the events of a program, each with its type by [Event]. There is nothing global: a part of a program that has
// events of its own has a registry of its own. Content is JSON, or what a [Format] writes, by [In] or [WithFormat]; the bytes of a binary
// one, as of protobuf, go to Event.Data.
//
// # Writing and reading
//
// [Registry.Append] is one line: it makes events of values and appends them, and an error of a value is that of the append. [Registry.Event]
// gives the event itself, for AppendMany or EventStream.AppendEvent, which return its error; [Registry.Encode] gives both at once. [Registry.Decode] gives the values of an event,
// [Registry.DecodeAll] those of a slice, [Registry.Values] those of a Read. They are of type any: a fold is a type switch.
//
// [Decide] and [Evolve] put rules over values into the shape that a decider and snapshots take.
//
// # Handling
//
// [NewHandlers] makes [Handlers] of functions, [On] for each Go type: for subscriptions of every kind, projections and process managers. Their
// [Handlers.Types] are the filter. [Registry.Each] is for one function that sees all values.
//
// # What changes over the years
//
// The schema version of an event stands in its metadata, under [SchemaVersionKey]; an event without has version 1. History is never rewritten:
// what is old is brought up to date when it is read, by one step for each schema version, 1 to 2 to 3. A step is an
//   - [Upcast], for fields that were renamed, merged, added or given up;
//   - [Split], for one event that is several today, of types that may have a history of their own ([Old]);
//   - [Drop], for one that means nothing any more; [Ignore] gives up a whole type.
//
// [Formerly] is for a type that has another name now. Fields of one event can be merged, events cannot: a reader may begin, and a page or a
// shard may end, between any two of them, and what one event means must not depend on where that was. Where two events became one, keep the old
// types, and let the fold put them together.
//
// # What the registry does not know
//
// Another type, or a schema version from a newer program, is an [UnknownEventError], or with [KeepUnknown] a [Raw]. [Check] finds
// all of them in a store before a reader does. An event whose content was erased is an [ErasedEventError], or with [KeepErased] an [Erased]. Old events belong into files beside the code; package eventstreamtest compares what they decode
// to.
package codec
