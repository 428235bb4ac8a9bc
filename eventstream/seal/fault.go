package seal

import (
	"fmt"

	"github.com/gaplesspg/gapless/eventstream"
)

// Reason is what is wrong with a block; the database's verify_seals() says it in the same words.
type Reason string

// What can be wrong with a block.
const (
	// SealChanged: the seal does not fit the block's columns.
	SealChanged Reason = "seal changed"
	// SealBeforeMissing: there is no block before it.
	SealBeforeMissing Reason = "seal before it missing"
	// NotAfterSeal: it was made after another block than that before it.
	NotAfterSeal Reason = "does not follow the seal before it"
	// NotAfterSkipped: it was made after another block than that which it skips to.
	NotAfterSkipped Reason = "does not follow the seal that it skips to"
	// SealMissing: the block that was asked for is not there.
	SealMissing Reason = "seal missing"
	// EventChanged: a column of an event is not as it was.
	EventChanged Reason = "event changed"
	// EventMissing: an event is gone.
	EventMissing Reason = "event missing"
	// EventAdded: an event is there that was not.
	EventAdded Reason = "event added"
	// LeavesChanged: the events are as they were; the digests that were kept of each are not.
	LeavesChanged Reason = "leaves changed"
	// EventsAndLeavesChanged: both are not, so which event it is cannot be told.
	EventsAndLeavesChanged Reason = "events and leaves changed"
	// KeptOfAnotherStore: the kept seal is none of this store.
	KeptOfAnotherStore Reason = "kept seal of another store"
	// KeptMissing: the block of the kept seal is gone.
	KeptMissing Reason = "kept seal missing"
	// NotTheKept: another seal is in the place of the kept one: history was written anew.
	NotTheKept Reason = "not the kept seal"
)

// Fault is a block that is not as it was sealed.
type Fault struct {
	// Block is its number.
	Block int64
	// From and To are the positions that it covers; 0 where that is not known.
	From, To int64
	// Position is that of the first event that is wrong; 0 if it is the seal.
	Position int64
	// StreamID and Version are those of that event; empty if it is missing.
	StreamID eventstream.StreamID
	Version  int64
	// Reason is what is wrong.
	Reason Reason
}

// String says it in a line.
func (f Fault) String() string {
	switch {
	case f.StreamID != "":
		return fmt.Sprintf("block %d: %s: position %d, version %d of stream %q", f.Block, f.Reason, f.Position, f.Version, string(f.StreamID))
	case f.Position != 0:
		return fmt.Sprintf("block %d: %s: position %d", f.Block, f.Reason, f.Position)
	default:
		return fmt.Sprintf("block %d: %s", f.Block, f.Reason)
	}
}
