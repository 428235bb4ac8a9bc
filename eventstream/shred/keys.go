package shred

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// keyBytes is the size of a subject's key: AES-256.
const keyBytes = 32

// StoredKey is the key of a subject as a KeyStore has it.
type StoredKey struct {
	// ID names the key in what was encrypted with it.
	ID uuid.UUID
	// Subject is whose key it is; empty for one that was forgotten and whose subject the store does not know any more.
	Subject string
	// Wrapped is the key as a Wrapper wrapped it; nil for one that was forgotten.
	Wrapped []byte
	// Forgotten says that the key was deleted, on record.
	Forgotten bool
}

// Record says that a subject was forgotten. Keep records outside of the database as well, as JSON for example: after the restore of a backup,
// Vault.ReplayForgotten applies them again.
type Record struct {
	// KeyID is the key that was deleted; one that never was, if the subject had none.
	KeyID uuid.UUID `json:"key_id"`
	// Subject is who was forgotten.
	Subject string `json:"subject"`
	// ForgottenAt is when, by the clock of the key store.
	ForgottenAt time.Time `json:"forgotten_at"`
	// ForgottenBy is who decided it.
	ForgottenBy string `json:"forgotten_by"`
	// Reason is why.
	Reason string `json:"reason"`
}

// Request asks to forget a subject.
type Request struct {
	// Subject is who is to be forgotten. Required.
	Subject string
	// Reason is why; it stays on record. Required.
	Reason string
	// By is who decided it. Default: the user of the key store.
	By string
}

// KeyStore keeps the keys of subjects, wrapped. PostgresKeys and MemoryKeys are two; another one may be a key service. Its methods may be
// called by several goroutines at once.
type KeyStore interface {
	// Find returns the key of a subject, and false if it has none.
	Find(ctx context.Context, subject string) (StoredKey, bool, error)
	// Lookup returns what became of keys, by their ids; it leaves out those that it knows nothing of.
	Lookup(ctx context.Context, ids []uuid.UUID) ([]StoredKey, error)
	// Create stores a key and returns it, or the one that the subject has by now: of several calls at once, one wins, and all return its key.
	// For a subject that was forgotten and has no key it returns a *ForgottenError, unless again. It never stores a key after Forget has
	// returned without being told so by again.
	Create(ctx context.Context, key StoredKey, again bool) (StoredKey, error)
	// Forget deletes the key of a subject, so that Lookup says Forgotten, calls keep with the record before that is final, and does not
	// forget if keep returns an error. Of a subject that is forgotten already, it returns the record of that, and calls keep with it.
	Forget(ctx context.Context, r Request, keep func(Record) error) (Record, error)
	// Records returns the records after a key id, in order of the keys' ids, limit of them at most.
	Records(ctx context.Context, after uuid.UUID, limit int) ([]Record, error)
	// Replay adds records that are not there and deletes the keys that they name; it returns how many it deleted.
	Replay(ctx context.Context, records []Record) (int64, error)
	// Page returns the keys after a key id that are not forgotten, in order of their ids, limit of them at most.
	Page(ctx context.Context, after uuid.UUID, limit int) ([]StoredKey, error)
	// Rewrap replaces the wrapping of a key if it is still that of old.
	Rewrap(ctx context.Context, old StoredKey, wrapped []byte) error
}
