package integration_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// A call of a repository for a tenant takes as many round trips as one of a repository for all: one, on a pool and in a transaction.
func TestForTenantTakesOneRoundTrip(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &wire{}
	pool := w.pool(t, b)
	repo := withoutGroup(t, pool)
	calls := func(own *eventstream.Repository) {
		_, err := own.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))
		require.NoError(t, err)
		_, err = own.Load(b.ctx, "order-1")
		require.NoError(t, err)
		_, err = own.Append(b.ctx, "order-1", eventstream.Any, someEvents(t, 3)...)
		require.NoError(t, err)
		_, err = own.Stream(b.ctx, "order-1")
		require.NoError(t, err)
	}
	own := repo.ForTenant(acme)
	calls(own) // which prepares the statements
	before := w.trips.Load()
	calls(own)
	require.EqualValues(t, 4, w.trips.Load()-before)

	require.NoError(t, pgx.BeginFunc(b.ctx, pool, func(tx pgx.Tx) error {
		calls(own.WithTx(tx))
		before := w.trips.Load()
		calls(own.WithTx(tx))
		require.EqualValues(t, 4, w.trips.Load()-before)
		return nil
	}))
}
