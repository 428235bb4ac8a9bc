package shred

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/gaplesspg/gapless/internal/invalid"
)

// Wrapper wraps the keys of subjects, so that what a KeyStore holds, and a dump of it, opens nothing. MasterKeys is one; another one may call a
// key service. Its methods may be called by several goroutines at once.
type Wrapper interface {
	// Wrap returns a key as it may be stored. The binding is what the key belongs to, and must be given to Unwrap again.
	Wrap(ctx context.Context, key, binding []byte) (wrapped []byte, err error)
	// Unwrap returns the key that was wrapped, or an error that matches ErrWrongMasterKey.
	Unwrap(ctx context.Context, wrapped, binding []byte) (key []byte, err error)
	// Current reports whether a key is wrapped as Wrap would do it today. Vault.Rewrap wraps the others anew.
	Current(wrapped []byte) bool
}

// MasterKeys returns a Wrapper of AES-256-GCM. New keys are wrapped with the first master key, of 32 random bytes; the others unwrap what was
// wrapped with them before Vault.Rewrap. Keep master keys where no backup of the database is.
//
// What is wrapped is, byte for byte: 1; the first 8 bytes of SHA-256 of "gapless-master-key:1:" and the master key, which say with which one it
// was wrapped; a nonce of 12 bytes; and what AES-256-GCM gives, with the binding as associated data.
func MasterKeys(current []byte, older ...[]byte) (Wrapper, error) {
	w := masterKeys{}
	for i, key := range append([][]byte{current}, older...) {
		if len(key) != keyBytes {
			return nil, invalid.Value(fmt.Sprintf("master key %d", i+1), strconv.Itoa(len(key))+" bytes", "32 random bytes")
		}
		aead, err := newAEAD(key)
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(append([]byte("gapless-master-key:1:"), key...))
		w = append(w, masterKey{name: [8]byte(digest[:8]), aead: aead})
	}
	return w, nil
}

type masterKeys []masterKey

type masterKey struct {
	name [8]byte
	aead cipher.AEAD
}

// wrapHeader is the version and the name of the master key.
const wrapHeader = 1 + 8

func (w masterKeys) Wrap(_ context.Context, key, binding []byte) ([]byte, error) {
	wrapped := append([]byte{1}, w[0].name[:]...)
	nonce := make([]byte, nonceBytes)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("cannot draw a nonce: %w", err)
	}
	return w[0].aead.Seal(append(wrapped, nonce...), nonce, key, binding), nil
}

func (w masterKeys) Unwrap(_ context.Context, wrapped, binding []byte) ([]byte, error) {
	if len(wrapped) < wrapHeader+nonceBytes || wrapped[0] != 1 {
		return nil, ErrWrongMasterKey
	}
	for _, master := range w {
		if [8]byte(wrapped[1:wrapHeader]) != master.name {
			continue
		}
		key, err := master.aead.Open(nil, wrapped[wrapHeader:wrapHeader+nonceBytes], wrapped[wrapHeader+nonceBytes:], binding)
		if err != nil {
			return nil, fmt.Errorf("%w; or the key was changed, or is another subject's", ErrWrongMasterKey)
		}
		return key, nil
	}
	return nil, ErrWrongMasterKey
}

func (w masterKeys) Current(wrapped []byte) bool {
	return len(wrapped) >= wrapHeader && [8]byte(wrapped[1:wrapHeader]) == w[0].name
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
