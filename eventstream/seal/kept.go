package seal

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/google/uuid"
)

var (
	// ErrInvalidKept says that a text is no kept seal.
	ErrInvalidKept = errors.New("not a kept seal")
	// ErrSignature says that a kept seal is not signed, or not by this key.
	ErrSignature = errors.New("kept seal without a signature by this key")
)

// Kept is a seal to keep where nobody can reach it who can reach the database. It stands for all history up to a position.
type Kept struct {
	// StoreID is the store that it is of.
	StoreID uuid.UUID
	// Block is the number of its block.
	Block int64
	// To is the position up to which it stands for history.
	To int64
	// LastSequence is the number of events up to there.
	LastSequence int64
	// Seal is the seal itself.
	Seal Digest
	// Signature is an ed25519 signature of the text without it; nil if it is not signed.
	Signature []byte
}

// keptText is the text form: the database's kept_seal() and seal() give it without a signature.
var keptText = regexp.MustCompile(
	`^gapless-seal:1:([0-9a-f-]{36}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17}):([0-9a-f]{64})(?::ed25519:([A-Za-z0-9_-]{86}))?$`)

// ParseKept reads the text of a kept seal. It does not look whether a signature is right.
func ParseKept(text string) (Kept, error) {
	parts := keptText.FindStringSubmatch(text)
	if parts == nil {
		return Kept{}, fmt.Errorf("%w: %.200q, which should be gapless-seal:1:store:block:position:sequence:seal", ErrInvalidKept, text)
	}
	var k Kept
	var err error
	if k.StoreID, err = uuid.Parse(parts[1]); err != nil {
		return Kept{}, fmt.Errorf("%w: its store: %w", ErrInvalidKept, err)
	}
	for i, to := range []*int64{&k.Block, &k.To, &k.LastSequence} {
		if *to, err = strconv.ParseInt(parts[2+i], 10, 64); err != nil {
			return Kept{}, fmt.Errorf("%w: %w", ErrInvalidKept, err)
		}
	}
	if err = k.Seal.UnmarshalText([]byte(parts[5])); err != nil {
		return Kept{}, fmt.Errorf("%w: %w", ErrInvalidKept, err)
	}
	if parts[6] != "" {
		if k.Signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[6]); err != nil {
			return Kept{}, fmt.Errorf("%w: its signature: %w", ErrInvalidKept, err)
		}
	}
	return k, nil
}

// String is one line of text without white space, which ParseKept reads.
func (k Kept) String() string {
	if k.Signature == nil {
		return k.unsigned()
	}
	return k.unsigned() + ":ed25519:" + base64.RawURLEncoding.EncodeToString(k.Signature)
}

func (k Kept) unsigned() string {
	return fmt.Sprintf("gapless-seal:1:%s:%d:%d:%d:%s", k.StoreID, k.Block, k.To, k.LastSequence, k.Seal)
}

// MarshalText gives the text.
func (k Kept) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the text.
func (k *Kept) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKept(string(text))
	return err
}

// Sign returns the seal with a signature: whoever has the public key can tell that it came from the holder of the private one.
func (k Kept) Sign(key ed25519.PrivateKey) Kept {
	k.Signature = ed25519.Sign(key, []byte(k.unsigned()))
	return k
}

// VerifySignature returns nil if the seal was signed by the owner of this key, and ErrSignature if not.
func (k Kept) VerifySignature(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: a public key has %d bytes, not %d", ErrSignature, ed25519.PublicKeySize, len(key))
	}
	if !ed25519.Verify(key, []byte(k.unsigned()), k.Signature) {
		return fmt.Errorf("%w: %s", ErrSignature, k.unsigned())
	}
	return nil
}
