package seal

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Timestamp is a time as PostgreSQL keeps it: microseconds since 2000-01-01 00:00 UTC.
type Timestamp int64

// Time is the same in Go.
func (t Timestamp) Time() time.Time {
	return time.UnixMicro(int64(t) + time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()).UTC()
}

// Record is an event as a seal counts it: every column, and the digests of what the event holds in place of that.
type Record struct {
	// Position is its place in the log.
	Position int64
	// Version is its number in its stream.
	Version int64
	// EventID is its identity.
	EventID uuid.UUID
	// OccurredAt is the caller's time.
	OccurredAt Timestamp
	// RecordedAt is the database's.
	RecordedAt Timestamp
	// PartitionID is its share of the streams.
	PartitionID int32
	// StreamID is its stream.
	StreamID eventstream.StreamID
	// TenantID is whose it is.
	TenantID eventstream.TenantID
	// Type is its kind.
	Type eventstream.EventType
	// Payload is the digest of its payload, as the database prints it.
	Payload Digest
	// Data is the digest of its bytes; nil if it has none, which is not the same as no bytes.
	Data *Digest
	// Metadata is the digest of its metadata, as the database prints it.
	Metadata Digest
}

// Digest is the event's leaf in the tree of its block.
func (r *Record) Digest() Digest {
	var d Digest
	d, _ = r.digest(nil)
	return d
}

// digest is Digest with memory to work in, which it returns.
func (r *Record) digest(b []byte) (Digest, []byte) {
	b = append(b[:0], leafByte)
	b = appendUint64(b, uint64(r.Position))
	b = appendUint64(b, uint64(r.Version))
	b = appendColumn(b, r.EventID[:])
	b = appendUint64(b, uint64(r.OccurredAt))
	b = appendUint64(b, uint64(r.RecordedAt))
	b = binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(r.PartitionID))
	b = appendColumn(b, r.StreamID)
	b = appendColumn(b, r.TenantID)
	b = appendColumn(b, r.Type)
	b = appendColumn(b, r.Payload[:])
	if r.Data == nil {
		b = append(b, 0xff, 0xff, 0xff, 0xff)
	} else {
		b = appendColumn(b, r.Data[:])
	}
	b = appendColumn(b, r.Metadata[:])
	return sha256.Sum256(b), b
}

// appendColumn appends a column's length and its bytes.
func appendColumn[T ~string | ~[]byte](b []byte, column T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(column))), column...)
}

func appendUint64(b []byte, column uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), column)
}

// Holds reports whether the event holds this: payload and metadata as the database prints them, data nil if it has none.
func (r *Record) Holds(payload, data, metadata []byte) bool {
	sameData := (data == nil) == (r.Data == nil)
	if sameData && data != nil {
		sameData = ContentDigest(data) == *r.Data
	}
	return sameData && ContentDigest(payload) == r.Payload && ContentDigest(metadata) == r.Metadata
}
