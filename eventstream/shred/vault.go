package shred

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/unset"
)

const (
	defaultCacheTTL = time.Minute
	defaultMaxKeys  = 10_000
)

// Config says how a Vault works.
type Config struct {
	// CacheTTL is how long a key is used without asking the key store whether its subject was forgotten meanwhile, by another process: for so
	// long this one may still read what was forgotten, and write what nobody can read afterwards. What this Vault forgets it forgets at once.
	// Negative asks each time. Default: 1 min.
	CacheTTL time.Duration
	// MaxKeys bounds the keys that are cached; those used last stay. From 1. Default: 10,000.
	MaxKeys int
	// AllowNewKey lets a subject that was forgotten have a new key: what was forgotten stays unreadable, what is written from now on does not.
	// Default: false, which refuses it with a *ForgottenError.
	AllowNewKey bool
	// BeforeForget is called with the record of each subject before its key goes: put it where it outlives this database. Its error stops
	// the forgetting. It may be called again with a record that it has seen. Default: nothing is called.
	BeforeForget func(ctx context.Context, r Record) error
}

// Vault gives out the keys to encrypt and decrypt with, and forgets subjects. It is safe for use by several goroutines: make one for a process.
type Vault struct {
	store   KeyStore
	wrapper Wrapper
	config  Config
	cache   *cache
}

// NewVault returns a Vault over a key store. A nil config means the defaults. It returns an *eventstream.InvalidValueError for what is nil or out
// of bounds.
func NewVault(store KeyStore, wrapper Wrapper, config *Config) (*Vault, error) {
	var c Config
	if config != nil {
		c = *config
	}
	unset.Default(&c.CacheTTL, defaultCacheTTL)
	unset.Default(&c.MaxKeys, defaultMaxKeys)
	switch {
	case unset.IsNil(store):
		return nil, invalid.Value("key store", "nil", "PostgresKeys(pool), MemoryKeys() or one of yours")
	case unset.IsNil(wrapper):
		return nil, invalid.Value("wrapper", "nil", "MasterKeys(key) or one of yours")
	case c.MaxKeys < 1:
		return nil, invalid.Value("shred.Config.MaxKeys", strconv.Itoa(c.MaxKeys), "1 or more, or 0 for 10,000")
	}
	return &Vault{store: store, wrapper: wrapper, config: c, cache: newCache(c.MaxKeys, c.CacheTTL)}, nil
}

// Forget deletes the key of a subject: its fields read as their zero values from now on, in every event, every copy and every backup of the
// events. It returns the record of that, which has been given to Config.BeforeForget; of a subject that was forgotten before, the record of
// then. What was made of the fields elsewhere, as in projections and snapshots, is not touched, and no event says that it was forgotten: append one
// of your own afterwards, under an id that follows from the record's KeyID, so that both can be repeated.
func (v *Vault) Forget(ctx context.Context, r Request) (Record, error) {
	record, err := v.store.Forget(ctx, r, func(record Record) error {
		if v.config.BeforeForget == nil {
			return nil
		}
		return v.config.BeforeForget(ctx, record)
	})
	if err == nil {
		v.cache.forget(record.KeyID)
	}
	return record, err
}

// forWriting gives the key that the fields of a subject are encrypted with; a new one, if it has none.
func (v *Vault) forWriting(ctx context.Context, subject string) (subjectKey, error) {
	if _, err := eventstream.NewStreamID(subject); err != nil {
		return subjectKey{}, invalid.Value("subject", subject,
			"1 to 128 bytes of UTF-8, without control characters, and without white space at either end")
	}
	if key, found := v.cache.ofSubject(subject); found {
		return key, nil
	}
	epoch := v.cache.at()
	stored, found, err := v.store.Find(ctx, subject)
	if err == nil && !found {
		stored, err = v.create(ctx, subject)
	}
	if err != nil {
		return subjectKey{}, err
	}
	key, err := v.open(ctx, stored)
	if err == nil {
		v.cache.put(key, epoch)
	}
	return key, err
}

func (v *Vault) create(ctx context.Context, subject string) (StoredKey, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return StoredKey{}, fmt.Errorf("cannot draw a key id: %w", err)
	}
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return StoredKey{}, fmt.Errorf("cannot draw a key: %w", err)
	}
	wrapped, err := v.wrapper.Wrap(ctx, key, binding(id, subject))
	if err != nil {
		return StoredKey{}, fmt.Errorf("cannot wrap the key of subject %q: %w", subject, err)
	}
	return v.store.Create(ctx, StoredKey{ID: id, Subject: subject, Wrapped: wrapped}, v.config.AllowNewKey)
}

// forReading gives keys by their ids. Those that the key store knows nothing of are left out.
func (v *Vault) forReading(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]subjectKey, error) {
	keys := make(map[uuid.UUID]subjectKey, len(ids))
	var missing []uuid.UUID
	for _, id := range ids {
		if key, found := v.cache.get(id); found {
			keys[id] = key
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return keys, nil
	}
	epoch := v.cache.at()
	stored, err := v.store.Lookup(ctx, missing)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		key, err := v.open(ctx, s)
		if err != nil {
			return nil, err
		}
		keys[s.ID] = key
		v.cache.put(key, epoch)
	}
	return keys, nil
}

func (v *Vault) open(ctx context.Context, stored StoredKey) (subjectKey, error) {
	key := subjectKey{id: stored.ID, subject: stored.Subject}
	if stored.Forgotten {
		return key, nil
	}
	raw, err := v.wrapper.Unwrap(ctx, stored.Wrapped, binding(stored.ID, stored.Subject))
	if err != nil {
		return key, err
	}
	if key.aead, err = newAEAD(raw); err == nil {
		key.nonces, err = nonceKey(raw)
	}
	return key, err
}

// binding is what a wrapped key belongs to, so that keys cannot be given to other subjects.
func binding(id uuid.UUID, subject string) []byte {
	return append(append([]byte("gapless-subject-key:1:"), id[:]...), subject...)
}
