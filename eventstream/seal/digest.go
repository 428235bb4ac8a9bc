package seal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Digest is a SHA-256 of something. As text, in JSON too, it is 64 hexadecimal digits.
type Digest [sha256.Size]byte

// The first byte of what is hashed says what it is, so that none can be taken for another.
const (
	leafByte = 0
	nodeByte = 1
	sealByte = 2
)

// ContentDigest is the digest of a payload, of data or of metadata: JSON as the database prints it.
func ContentDigest(content []byte) Digest { return sha256.Sum256(content) }

// String gives the hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText gives the hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads hexadecimal digits, 64 of them.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return fmt.Errorf("digest %q has %d characters: %d hexadecimal digits are needed", text, len(text), 2*len(d))
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return fmt.Errorf("digest %q: %w", text, err)
	}
	return nil
}

// digestOf reads a column that holds a digest.
func digestOf(column []byte) (d Digest, err error) {
	if copy(d[:], column) != len(d) || len(column) != len(d) {
		err = fmt.Errorf("a digest of %d bytes was read from the database: it has %d", len(column), len(d))
	}
	return d, err
}
