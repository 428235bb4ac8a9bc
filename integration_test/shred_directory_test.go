package integration_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/seal"
	"github.com/gaplesspg/gapless/eventstream/shred"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// seenKeys is a Wrapper that remembers the keys as they are before it wraps them.
type seenKeys struct {
	shred.Wrapper
	mu   sync.Mutex
	keys [][]byte
}

func (s *seenKeys) Wrap(ctx context.Context, key, binding []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, bytes.Clone(key))
	return s.Wrapper.Wrap(ctx, key, binding)
}

// seenVault is a vault on a database, and the keys that it makes.
func seenVault(t testing.TB, pool *pgxpool.Pool) (*shred.Codec, *shred.Vault, *seenKeys) {
	t.Helper()
	master, err := shred.MasterKeys(masterKeyOfTests)
	require.NoError(t, err)
	seen := &seenKeys{Wrapper: master}
	vault, err := shred.NewVault(shred.PostgresKeys(pool), seen, &shred.Config{CacheTTL: -1})
	require.NoError(t, err)
	registry, err := codec.New(codec.Event[customerRegistered]("customer.registered"))
	require.NoError(t, err)
	c, err := shred.NewCodec(vault, registry)
	require.NoError(t, err)
	return c, vault, seen
}

// wrappedKeys are the keys of a store, as they are stored.
func wrappedKeys(t testing.TB, b *bundle) (keys [][]byte) {
	t.Helper()
	for _, text := range texts(t, b, `SELECT encode(k.wrapped_key, 'hex') FROM eventstream.subject_keys AS k ORDER BY k.subject`) {
		key, err := hex.DecodeString(text)
		require.NoError(t, err)
		keys = append(keys, key)
	}
	return keys
}

// The files of the database, after VACUUM FULL and a checkpoint: what is personal was never in them, nor was a key as it is; and of a subject that
// was forgotten the wrapped key is gone as well, from the table, its indexes and statistics. Seals and audit are as they were.
func TestForgottenSubjectLeavesNothingInTheDataDirectory(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	c, vault, seen := seenVault(t, b.pool)
	for n := range 30 {
		value := customerRegistered{Customer: fmt.Sprintf("customer-%d", n%3+1), Name: personal, Plan: "gold-7f3a-plan"}
		_, err := c.Append(b.ctx, b.repo, "customers", eventstream.Any, value)
		require.NoError(t, err)
	}
	kept, sealed, err := seal.Next(b.ctx, b.pool, 100)
	require.NoError(t, err)
	require.True(t, sealed)
	wrapped := wrappedKeys(t, b)
	require.Len(t, wrapped, 3)
	require.NotEmpty(t, filesHolding(t, b, []byte("gold-7f3a-plan")), "the search finds what is in the clear")
	require.NotEmpty(t, filesHolding(t, b, wrapped[0]), "and what is no text")
	require.Empty(t, filesHolding(t, b, []byte(personal)))

	_, err = vault.Forget(b.ctx, shred.Request{Subject: "customer-1", Reason: "asked to"})
	require.NoError(t, err)
	// VACUUM keeps what an older snapshot might see, as one of autovacuum's.
	require.Eventually(t, func() bool { return len(filesHolding(t, b, wrapped[0])) == 0 }, time.Minute, 100*time.Millisecond)
	require.NotEmpty(t, filesHolding(t, b, wrapped[1]), "others keep theirs")
	require.NotEmpty(t, seen.keys)
	for _, key := range append(seen.keys, masterKeyOfTests, []byte(personal)) {
		require.Empty(t, filesHolding(t, b, key))
	}
	require.Empty(t, readCustomers(t, b, c, "customers")[0].Name)
	require.Equal(t, personal, readCustomers(t, b, c, "customers")[1].Name)
	require.Empty(t, sealFaults(t, b, &kept))
	requireAuditClean(t, b)
}

// Where the keys are elsewhere, a backup of the events from before is no way back to what was forgotten, and needs nothing to be done to it.
func TestForgottenSubjectStaysForgottenInARestoredBackup(t *testing.T) {
	t.Parallel()
	own := ownServer(t, pgserver.Options{})
	from, keys := onServer(t, own, createDatabase(t, own)), onServer(t, own, createDatabase(t, own))
	for _, store := range []*cluster{from, keys} {
		require.NoError(t, migrations.Up(store.ctx, store.pool, nil))
	}
	c, vault, seen := seenVault(t, keys.pool)
	for _, customer := range []string{"customer-1", "customer-2"} {
		_, err := c.Append(from.ctx, from.repo, "customers", eventstream.Any, customerRegistered{Customer: customer, Name: personal})
		require.NoError(t, err)
	}
	wrapped := wrappedKeys(t, keys.bundle)
	dump, err := own.Dump(from.ctx, databaseOf(from.bundle))
	require.NoError(t, err)
	_, err = vault.Forget(from.ctx, shred.Request{Subject: "customer-1", Reason: "asked to"})
	require.NoError(t, err)

	name := createDatabase(t, own)
	require.NoError(t, own.Restore(from.ctx, name, dump))
	to := onServer(t, own, name).bundle
	customers := readCustomers(t, to, c, "customers")
	require.Equal(t, []string{"", personal}, []string{customers[0].Name, customers[1].Name})
	require.Equal(t, shred.Forgotten{"/name"}, customers[0].Forgotten)
	for _, secret := range append(append(seen.keys, wrapped...), masterKeyOfTests, []byte(personal)) {
		require.NotContains(t, string(dump), string(secret))
		require.NotContains(t, string(dump), hex.EncodeToString(secret), "as a dump prints bytes")
		require.Empty(t, filesHolding(t, to, secret))
	}
	require.Eventually(t, func() bool { return len(filesHolding(t, keys.bundle, wrapped[0])) == 0 }, time.Minute, 100*time.Millisecond)
	requireAuditClean(t, to)
}
