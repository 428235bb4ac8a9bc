// Package shred keeps the personal fields of events encrypted, with a key for each person, so that a person can be forgotten in a history that
// never changes: the key is deleted, and the fields are unreadable in every event, replica and backup. Versions, order and seals stay as they
// were.
//
// # Which fields, and whose
//
// Struct tags say it, on the types of a codec.Registry:
//
//	type Registered struct {
//		Customer  string          `json:"customer" shred:"subject"`
//		Name      string          `json:"name" shred:"personal"`
//		Address   Address         `json:"address" shred:"personal"`
//		Plan      string          `json:"plan"`
//		Forgotten shred.Forgotten `json:"-"`
//	}
//
// A field of any type can be personal; it is encrypted as its JSON, and a string stands in its place. The subject is a pseudonym of yours, which
// stays readable. It holds for the struct that names it and all that is in it, such as the elements of a slice, unless they name one of their
// own; `shred:"subject:payer"` and `shred:"personal:payer"` tell several subjects of one struct apart.
//
// # Writing and reading
//
// [NewCodec] puts a [Vault] and a registry together. [Codec.Append] and [Codec.Encode] write, [Codec.Decode], [Codec.Values] and the others
// read, as the methods of the registry do; [Codec.Open] gives the event itself. [Decide] and [Evolve] are for deciders, [DecideUnder] and
// [Codec.EncodeUnder] for events whose ids follow from a command or a step. The registry itself refuses to write personal fields. What was forgotten has
// its zero value, and the field of type [Forgotten] says so. What was changed, or moved from another event, is a [FieldError], and never a zero
// value.
//
// # Keys
//
// A [KeyStore] has them: [PostgresKeys], a table beside the events or in another database. They are stored wrapped, by [MasterKeys] or a key
// service ([Wrapper]), so that a dump of the table opens nothing. [Vault.Rewrap] changes the master key.
//
// # Forgetting
//
// [Vault.Forget] deletes a key, on record. [Config].BeforeForget hands the record on before, to be kept where no restore loses it, and
// [Vault.ReplayForgotten] applies records again after a restore.
package shred
