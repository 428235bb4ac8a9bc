// Package seal proves that history is as it was. A seal closes a block of the log and covers the seal before it, so the newest one stands
// for all events up to it. Kept elsewhere as a line of text, it shows later whether one byte was changed, or the end cut off, by whoever had
// the database in hand:
//
//	kept, sealed, err := seal.Next(ctx, pool, 0)             // closes the next block
//	line := kept.Sign(key).String()                          // to a log, a mail, another machine
//	faults, err := seal.Verify(ctx, pool, &seal.Options{Kept: &kept}) // nothing means that history is the same
//	proof, err := seal.Prove(ctx, pool, "order-1", 2, kept)  // for somebody without the database
//	err = proof.Verify(kept)
//
// Verify computes every digest here, from the columns as they are read, and shares nothing with eventstream.verify_seals() of the database
// but the definition in docs/seals.md: each checks the other.
package seal
