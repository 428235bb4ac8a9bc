package seal

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
)

// ErrNotProven says that a proof does not lead to the kept seal.
var ErrNotProven = errors.New("not proven")

// Proof shows that an event is in the history that a kept seal stands for, to somebody who has nothing but the two. It has one digest for
// each level of its block's tree, and the seals on a short way from its block to the kept one: of n blocks, of k bits, at most k(k+1)/2, which
// is 105 of 10,000. JSON both ways.
type Proof struct {
	// Event is the event, with digests in place of what it holds: Event.Holds compares.
	Event Record
	// Index is its place in its block, from 0.
	Index int64
	// Path is what its digest is joined with on the way to the root, from below.
	Path []Digest
	// Blocks are its block first and the kept seal's last; each refers to the one before it here.
	Blocks []Block
}

// Verify returns nil if the proof leads from its event to the kept seal, and ErrNotProven with the reason if not. It reads nothing but the
// two. Whether the kept seal is the one that was kept is the caller's to know, or for its signature to tell.
func (p *Proof) Verify(kept Kept) error {
	if len(p.Blocks) == 0 {
		return fmt.Errorf("%w: the proof names no block", ErrNotProven)
	}
	first := &p.Blocks[0]
	if found, fits := rootBy(p.Event.Digest(), p.Index, int64(first.Count), p.Path); !fits || found != first.Root {
		return fmt.Errorf("%w: version %d of stream %q is not event %d of block %d", ErrNotProven, p.Event.Version, string(p.Event.StreamID), p.Index, first.Number)
	}
	for i := range p.Blocks {
		b := &p.Blocks[i]
		if b.Seal != b.Digest() {
			return fmt.Errorf("%w: block %d does not fit its seal", ErrNotProven, b.Number)
		}
		if i > 0 && !refersTo(b, &p.Blocks[i-1]) {
			return fmt.Errorf("%w: block %d does not refer to block %d", ErrNotProven, b.Number, p.Blocks[i-1].Number)
		}
	}
	if last := p.Blocks[len(p.Blocks)-1].Kept(); last.unsigned() != kept.unsigned() {
		return fmt.Errorf("%w: the proof leads to %s, not to %s", ErrNotProven, last.unsigned(), kept.unsigned())
	}
	return nil
}

// refersTo reports whether a block holds the seal of another one, in the place that is that one's.
func refersTo(b, other *Block) bool {
	return (other.Number == b.Number-1 && b.Previous == other.Seal) || (other.Number == skips(b.Number) && b.Skipped == other.Seal)
}

// Prove makes the proof of one event against a kept seal. It reads the digests of one block, and no other event. It returns
// eventstream.ErrEventNotFound if there is no such event, and ErrNoSeal if it was not sealed by then.
func Prove(ctx context.Context, h eventstream.Handle, stream eventstream.StreamID, version int64, kept Kept) (*Proof, error) {
	position, err := db.New().SealEventPosition(ctx, h, db.SealEventPositionParams{StreamID: string(stream), Version: version})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("%w: version %d of stream %q", eventstream.ErrEventNotFound, version, string(stream))
	}
	if err != nil {
		return nil, fmt.Errorf("read version %d of stream %q: %w", version, string(stream), err)
	}
	number, err := db.New().SealBlockOf(ctx, h, position)
	if errors.Is(err, pgx.ErrNoRows) {
		number, err = math.MaxInt64, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the block of position %d: %w", position, err)
	}
	if number > kept.Block {
		return nil, fmt.Errorf("%w: position %d is above %d, where the kept seal ends", ErrNoSeal, position, kept.To)
	}
	p := &Proof{}
	if err := eachRecord(ctx, h, position, position, 1, func(r *Record) { p.Event = *r }); err != nil {
		return nil, err
	}
	if p.Blocks, err = chain(ctx, h, number, kept.Block); err != nil {
		return nil, err
	}
	var c content
	if err := c.open(ctx, h, &p.Blocks[0]); err != nil {
		return nil, err
	}
	for c.next < len(c.positions) && c.positions[c.next] < position {
		c.next++
	}
	p.Index = int64(c.next)
	p.Path = path(c.kept, p.Index)
	return p, p.Verify(kept)
}

// chain reads the blocks of the short way from one block up to another.
func chain(ctx context.Context, h eventstream.Handle, from, to int64) ([]Block, error) {
	numbers := []int64{to}
	for to > from {
		if to = skips(to); to < from {
			to = numbers[len(numbers)-1] - 1
		}
		numbers = append(numbers, to)
	}
	blocks := make([]Block, 0, len(numbers))
	for i := len(numbers) - 1; i >= 0; i-- {
		page, err := listBlocks(ctx, h, numbers[i], numbers[i], 1)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return nil, fmt.Errorf("%w: block %d", ErrNoSeal, numbers[i])
		}
		blocks = append(blocks, page[0])
	}
	return blocks, nil
}
