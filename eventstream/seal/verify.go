package seal

import (
	"context"
	"fmt"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
)

// pageSize is how many seals are read at a time.
const pageSize = 1000

// Options says what Verify looks at. Nil means every block.
type Options struct {
	// FromBlock is the first block; 1 unless it is set.
	FromBlock int64
	// ToBlock is the last block; the newest one unless it is set.
	ToBlock int64
	// Kept is a seal that was kept elsewhere: the blocks must be those that it stands for. None unless it is set.
	Kept *Kept
}

// Verify reads the blocks and their events, computes every digest, and returns what is not as it was sealed: nothing means that all is.
// With a kept seal that also proves that history up to it is the same, its end included. Its memory is that of the digests of one block.
func Verify(ctx context.Context, h eventstream.Handle, options *Options) ([]Fault, error) {
	v := verifier{handle: h, seals: map[int64]*Block{}}
	if options != nil {
		v.options = *options
	}
	v.options.FromBlock = max(v.options.FromBlock, 1)
	chainTo := v.options.ToBlock
	if kept := v.options.Kept; kept != nil {
		if err := v.compareKept(ctx, kept); err != nil {
			return nil, err
		}
		if chainTo > 0 {
			chainTo = max(chainTo, kept.Block)
		}
	}
	last, err := v.walk(ctx, chainTo)
	if err != nil {
		return nil, err
	}
	if v.options.ToBlock > last {
		v.faults = append(v.faults, Fault{Block: v.options.ToBlock, Reason: SealMissing})
	}
	return v.faults, nil
}

// verifier is one Verify.
type verifier struct {
	handle  eventstream.Handle
	options Options
	seals   map[int64]*Block // those that were read: later ones refer to them
	faults  []Fault
	content content
}

// walk checks one block after the other, up to one or to the newest, and returns the last one that is there.
func (v *verifier) walk(ctx context.Context, to int64) (last int64, err error) {
	if to == 0 {
		to = 1<<63 - 1
	}
	for from := v.options.FromBlock; from <= to; {
		page, err := listBlocks(ctx, v.handle, from, to, pageSize)
		if err != nil || len(page) == 0 {
			return last, err
		}
		for i := range page {
			if err := v.verifyBlock(ctx, &page[i]); err != nil {
				return last, err
			}
			last = page[i].Number
		}
		from = last + 1
	}
	return last, nil
}

// verifyBlock checks a block's seal, and its events if it was asked for and its seal says what they must be.
func (v *verifier) verifyBlock(ctx context.Context, b *Block) error {
	reason, err := v.linkFault(ctx, b)
	if err != nil {
		return err
	}
	v.seals[b.Number] = b
	if reason != "" {
		v.faults = append(v.faults, Fault{Block: b.Number, From: b.From, To: b.To, Reason: reason})
	}
	if reason == SealChanged || (v.options.ToBlock > 0 && b.Number > v.options.ToBlock) {
		return nil
	}
	fault, err := v.content.verify(ctx, v.handle, b)
	if fault != nil {
		v.faults = append(v.faults, *fault)
	}
	return err
}

// linkFault checks what a seal says of itself and of those before it.
func (v *verifier) linkFault(ctx context.Context, b *Block) (Reason, error) {
	if b.Seal != b.Digest() {
		return SealChanged, nil
	}
	before, skipped := &Block{}, &Block{}
	var err error
	if b.Number > 1 {
		if before, err = v.block(ctx, b.Number-1); err != nil {
			return "", err
		}
		if before == nil {
			return SealBeforeMissing, nil
		}
	}
	if !b.follows(before) {
		return NotAfterSeal, nil
	}
	if to := skips(b.Number); to > 0 {
		// One that is missing is what the block after it is blamed for.
		if skipped, err = v.block(ctx, to); err != nil || skipped == nil {
			return "", err
		}
	}
	if b.Skipped != skipped.Seal {
		return NotAfterSkipped, nil
	}
	return "", nil
}

// block returns one that was read, or reads it; nil if it is not there.
func (v *verifier) block(ctx context.Context, number int64) (*Block, error) {
	if b := v.seals[number]; b != nil {
		return b, nil
	}
	page, err := listBlocks(ctx, v.handle, number, number, 1)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	return &page[0], nil
}

// compareKept looks whether the kept seal is there.
func (v *verifier) compareKept(ctx context.Context, kept *Kept) error {
	store, err := db.New().StoreGet(ctx, v.handle)
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	b, err := v.block(ctx, kept.Block)
	if err != nil {
		return err
	}
	fault := Fault{Block: kept.Block, To: kept.To}
	switch {
	case store.StoreID != kept.StoreID:
		fault.Reason = KeptOfAnotherStore
	case b == nil:
		fault.Reason = KeptMissing
	case b.Kept().unsigned() != kept.unsigned():
		fault.Reason = NotTheKept
	default:
		return nil
	}
	v.faults = append(v.faults, fault)
	return nil
}

// listBlocks reads a page of seals.
func listBlocks(ctx context.Context, h eventstream.Handle, from, to int64, limit int32) ([]Block, error) {
	rows, err := db.New().SealList(ctx, h, db.SealListParams{FromBlock: from, ToBlock: to, PageSize: limit})
	if err != nil {
		return nil, fmt.Errorf("read seals from block %d: %w", from, err)
	}
	blocks := make([]Block, len(rows))
	for i := range rows {
		if blocks[i], err = blockOf(&rows[i]); err != nil {
			return nil, fmt.Errorf("block %d: %w", rows[i].Block, err)
		}
	}
	return blocks, nil
}
