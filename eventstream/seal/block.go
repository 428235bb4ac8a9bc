package seal

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
)

// Block is a sealed block of the log, without its events.
type Block struct {
	// StoreID is the store that it is of.
	StoreID uuid.UUID
	// Number is its place among the blocks: 1, 2, 3 ... without a gap.
	Number int64
	// From is the first position that it covers, the one after the block before it.
	From int64
	// To is the position of its last event.
	To int64
	// LastSequence is the number of events in it and in all blocks before it.
	LastSequence int64
	// SealedAt is when it was sealed, by the database's clock.
	SealedAt Timestamp
	// Count is the number of events in it.
	Count int32
	// Previous is the seal of the block before it; zero in the first one.
	Previous Digest
	// Skipped is the seal of the block that a short way back leads to, Number & (Number - 1); zero if that is 0.
	Skipped Digest
	// Root is that of the Merkle tree over the digests of its events.
	Root Digest
	// Seal covers all of the above, and so all history up to To.
	Seal Digest
}

// Digest is what the seal of a block with these fields must be.
func (b *Block) Digest() Digest {
	p := append(make([]byte, 0, 1+16+5*8+4+3*sha256.Size), sealByte)
	p = append(p, b.StoreID[:]...)
	for _, number := range []int64{b.Number, b.From, b.To, b.LastSequence, int64(b.SealedAt)} {
		p = binary.BigEndian.AppendUint64(p, uint64(number))
	}
	p = binary.BigEndian.AppendUint32(p, uint32(b.Count))
	for _, digest := range []Digest{b.Previous, b.Skipped, b.Root} {
		p = append(p, digest[:]...)
	}
	return sha256.Sum256(p)
}

// Kept is the block's seal as it is kept elsewhere.
func (b *Block) Kept() Kept {
	return Kept{StoreID: b.StoreID, Block: b.Number, To: b.To, LastSequence: b.LastSequence, Seal: b.Seal}
}

// skips is the block that the short way back leads to; 0 for none.
func skips(number int64) int64 { return number & (number - 1) }

// follows reports whether a block's columns go on from those of the block before it.
func (b *Block) follows(before *Block) bool {
	return b.Previous == before.Seal && b.From == before.To+1 && b.LastSequence == before.LastSequence+int64(b.Count)
}

// blockOf reads a row.
func blockOf(row *db.SealListRow) (Block, error) {
	b := Block{
		StoreID: row.StoreID, Number: row.Block, From: row.FromPosition, To: row.ToPosition, LastSequence: row.LastSequence,
		SealedAt: timestampOf(row.SealedAt), Count: row.EventCount,
	}
	for _, column := range []struct {
		to   *Digest
		from []byte
	}{{&b.Previous, row.PreviousSeal}, {&b.Skipped, row.SkippedSeal}, {&b.Root, row.MerkleRoot}, {&b.Seal, row.Seal}} {
		var err error
		if *column.to, err = digestOf(column.from); err != nil {
			return b, err
		}
	}
	return b, nil
}

// timestampOf reads a time in the bytes of the wire.
func timestampOf(column []byte) Timestamp {
	var b [8]byte
	copy(b[:], column)
	return Timestamp(binary.BigEndian.Uint64(b[:]))
}
