package shred

import (
	"context"
	"fmt"
	"iter"

	"github.com/google/uuid"
)

// page is how many keys or records go in one call of the key store.
const page = 500

// Forgotten goes through the records of all subjects that were forgotten. An error comes as the last pair. Keep the records elsewhere, or have
// Config.BeforeForget do it.
func (v *Vault) Forgotten(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for after := uuid.Nil; ; {
			records, err := v.store.Records(ctx, after, page)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
				after = r.KeyID
			}
			if len(records) < page {
				return
			}
		}
	}
}

// ReplayForgotten forgets again what records say, and returns how many keys that deleted. Call it after each restore of the key store from a
// backup, before services start, with all records there are: a record that has been applied already changes nothing.
func (v *Vault) ReplayForgotten(ctx context.Context, records []Record) (deleted int64, err error) {
	defer v.cache.clear()
	for len(records) > 0 {
		n := min(page, len(records))
		count, err := v.store.Replay(ctx, records[:n])
		if err != nil {
			return deleted, err
		}
		deleted, records = deleted+count, records[n:]
	}
	return deleted, nil
}

// Rewrap wraps every key that is not of the current master key anew, and returns how many that were. Afterwards the older master keys can be
// destroyed, and with them the keys in all backups from before: what has been forgotten since then is forgotten in them, too.
func (v *Vault) Rewrap(ctx context.Context) (count int, err error) {
	for after := uuid.Nil; ; {
		keys, err := v.store.Page(ctx, after, page)
		if err != nil {
			return count, err
		}
		for _, key := range keys {
			after = key.ID
			if v.wrapper.Current(key.Wrapped) {
				continue
			}
			if err := v.rewrap(ctx, key); err != nil {
				return count, fmt.Errorf("key %s of subject %q: %w", key.ID, key.Subject, err)
			}
			count++
		}
		if len(keys) < page {
			return count, nil
		}
	}
}

func (v *Vault) rewrap(ctx context.Context, key StoredKey) error {
	raw, err := v.wrapper.Unwrap(ctx, key.Wrapped, binding(key.ID, key.Subject))
	if err != nil {
		return err
	}
	wrapped, err := v.wrapper.Wrap(ctx, raw, binding(key.ID, key.Subject))
	if err != nil {
		return err
	}
	return v.store.Rewrap(ctx, key, wrapped)
}
