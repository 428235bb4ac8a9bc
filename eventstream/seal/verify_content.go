package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
)

// content compares the events of a block with what was kept of each. Its memory serves one block after the other.
type content struct {
	leaves    []Digest // of the events as they are
	kept      []Digest // as they were sealed
	positions []int64  // as they were sealed
	next      int      // the sealed one that is compared next
	first     *Fault   // the first that has not
	buffer    []byte
}

// verify returns what is wrong with the events of a block; nil for nothing.
func (c *content) verify(ctx context.Context, h eventstream.Handle, b *Block) (*Fault, error) {
	if err := c.open(ctx, h, b); err != nil {
		return nil, err
	}
	from := b.From
	if b.Number == 1 {
		from = math.MinInt64 // nothing is below the first block, whatever its position
	}
	// One more than there should be is enough to see that there are too many.
	if err := eachRecord(ctx, h, from, b.To, b.Count+1, c.compare); err != nil {
		return nil, err
	}
	if c.first == nil && c.next < len(c.positions) {
		c.miss(c.positions[c.next])
	}
	if len(c.leaves) == int(b.Count) && root(slices.Clone(c.leaves)) == b.Root {
		if c.first == nil && len(c.kept) == int(b.Count) {
			return nil, nil
		}
		return c.fault(b, Fault{Reason: LeavesChanged}), nil
	}
	if c.first == nil || root(c.kept) != b.Root {
		return c.fault(b, Fault{Reason: EventsAndLeavesChanged}), nil
	}
	return c.fault(b, *c.first), nil
}

func (*content) fault(b *Block, f Fault) *Fault {
	f.Block, f.From, f.To = b.Number, b.From, b.To
	return &f
}

// open reads what was kept of a block's events.
func (c *content) open(ctx context.Context, h eventstream.Handle, b *Block) error {
	*c = content{leaves: c.leaves[:0], kept: c.kept[:0], positions: c.positions[:0], buffer: c.buffer}
	row, err := db.New().SealGetContent(ctx, h, b.Number)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read the digests of block %d: %w", b.Number, err)
	}
	for rest := row.Leaves; len(rest) >= len(Digest{}); rest = rest[len(Digest{}):] {
		c.kept = append(c.kept, Digest(rest[:len(Digest{})]))
	}
	for rest := row.Positions; len(rest) >= 8; rest = rest[8:] {
		c.positions = append(c.positions, int64(binary.BigEndian.Uint64(rest)))
	}
	n := min(len(c.kept), len(c.positions))
	c.kept, c.positions = c.kept[:n], c.positions[:n]
	return nil
}

// compare takes the next event.
func (c *content) compare(r *Record) {
	var leaf Digest
	leaf, c.buffer = r.digest(c.buffer)
	c.leaves = append(c.leaves, leaf)
	if c.first != nil {
		return
	}
	switch {
	case c.next == len(c.positions) || r.Position < c.positions[c.next]:
		c.blame(r, EventAdded)
	case r.Position > c.positions[c.next]:
		c.miss(c.positions[c.next])
	case leaf != c.kept[c.next]:
		c.blame(r, EventChanged)
	default:
		c.next++
	}
}

func (c *content) blame(r *Record, reason Reason) {
	c.first = &Fault{Position: r.Position, StreamID: r.StreamID, Version: r.Version, Reason: reason}
}

func (c *content) miss(position int64) {
	c.first = &Fault{Position: position, Reason: EventMissing}
}
