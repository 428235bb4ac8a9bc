package eventstream

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/gaplesspg/gapless/internal/access"
)

const (
	// DefaultPartitionCount is the number of partitions of a store that was installed without naming one.
	DefaultPartitionCount = 32

	maxPartitionCount  = access.MaxPartitionCount
	partitionPrefix    = "partition-"
	partitionCountRule = "a whole number from 1 to 32768"
	partitionKeyRule   = "partition-ID/COUNT with 0 <= ID < COUNT and COUNT from 1 to 32768, as partition-5/32"
)

// PartitionKey is a fixed share of the streams of a store: partition ID of Count, with 0 <= ID < Count and Count from 1 to
// 32768. A stream is placed in one when it is created and stays there.
type PartitionKey struct {
	// ID numbers the partition, from 0.
	ID int
	// Count is the number of partitions of the store.
	Count int
}

// NewPartitionKey returns partition id of count, or an *InvalidValueError if there is no such partition.
func NewPartitionKey(id, count int) (PartitionKey, error) {
	key := PartitionKey{ID: id, Count: count}
	if err := key.Validate(); err != nil {
		return PartitionKey{}, err
	}
	return key, nil
}

// PartitionOf returns the partition that a stream falls in unless it is placed elsewhere when it is created. A count outside
// 1 to 32768 gives an *InvalidValueError; the id is not checked.
//
// It is the first 8 bytes of the SHA-256 of the id, as a big-endian unsigned number, modulo the count: a definition that no
// version of Go or of PostgreSQL can change, unlike their hash functions. The SQL function eventstream.partition_of gives
// the same.
func PartitionOf(id StreamID, count int) (PartitionKey, error) {
	if count < 1 || count > maxPartitionCount {
		return PartitionKey{}, invalidValue("partition_count", strconv.Itoa(count), partitionCountRule)
	}
	return partitionOf(id, count), nil
}

// partitionOf is PartitionOf for a count known to be in range.
func partitionOf(id StreamID, count int) PartitionKey {
	sum := sha256.Sum256([]byte(id))
	return PartitionKey{ID: int(binary.BigEndian.Uint64(sum[:8]) % uint64(count)), Count: count}
}

// ParsePartitionKey reads what String writes, and nothing else: no sign, no leading zero, no space. Anything else gives an
// *InvalidValueError.
func ParsePartitionKey(text string) (PartitionKey, error) {
	rest, found := strings.CutPrefix(text, partitionPrefix)
	id, count, slash := strings.Cut(rest, "/")
	if !found || !slash {
		return PartitionKey{}, invalidValue("partition_key", text, partitionKeyRule)
	}
	// Numbers that do not parse are 0, and then the text is not what String writes.
	key := PartitionKey{}
	key.ID, _ = strconv.Atoi(id)
	key.Count, _ = strconv.Atoi(count)
	if key.String() != text || key.Validate() != nil {
		return PartitionKey{}, invalidValue("partition_key", text, partitionKeyRule)
	}
	return key, nil
}

// Validate returns an *InvalidValueError if Count is outside 1 to 32768 or ID outside 0 to Count-1, else nil. The zero
// PartitionKey is not valid.
func (k PartitionKey) Validate() error {
	if k.Count < 1 || k.Count > maxPartitionCount {
		return invalidValue("partition_count", strconv.Itoa(k.Count), partitionCountRule)
	}
	if k.ID < 0 || k.ID >= k.Count {
		return invalidValue("partition_id", strconv.Itoa(k.ID), fmt.Sprintf("a whole number from 0 to %d", k.Count-1))
	}
	return nil
}

// String returns the key as "partition-5/32".
func (k PartitionKey) String() string {
	return partitionPrefix + strconv.Itoa(k.ID) + "/" + strconv.Itoa(k.Count)
}

// BelongsToNode reports whether the partition is one of those that node, numbered from 0, takes when nodes share the work:
// ID modulo nodes is node. It is false for a key, a node or a number of nodes that cannot be.
func (k PartitionKey) BelongsToNode(node, nodes int) bool {
	// A remainder is never below 0 nor as high as nodes, so that a node out of range matches nothing.
	return nodes >= 1 && k.Validate() == nil && k.ID%nodes == node
}

// MarshalText returns what String does, so that JSON shows "partition-5/32"; an invalid key gives an *InvalidValueError,
// since nobody could read it back.
func (k PartitionKey) MarshalText() ([]byte, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	return []byte(k.String()), nil
}

// UnmarshalText takes text as the key after the checks of ParsePartitionKey. On error the key keeps its value.
func (k *PartitionKey) UnmarshalText(text []byte) error {
	parsed, err := ParsePartitionKey(string(text))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}
