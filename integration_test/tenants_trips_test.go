package integration_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/leftout"
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

// Role and tenant are set in the message of each statement, so a pooler in transaction mode cannot take the one from the other: in each of
// pgx's modes that works behind it, over one connection of the server that two tenants take turns on.
func TestForTenantBehindPgBouncer(t *testing.T) {
	t.Parallel()
	bin, err := findPgBouncer()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		leftout.Skip(t, err)
	}
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			config, err := pgxpool.ParseConfig(startPgBouncer(t, b, bin, 1))
			require.NoError(t, err)
			config.ConnConfig.DefaultQueryExecMode = mode
			pool, err := pgxpool.NewWithConfig(b.ctx, config)
			require.NoError(t, err)
			t.Cleanup(func() { closePool(t, pool) })
			requireTenantsApart(t, b, repoOn(t, pool), pool)
		})
	}
}

// In each of pgx's modes tenants are as far apart.
func TestForTenantInEveryQueryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t, withQueryMode(mode))
			requireTenantsApart(t, b, b.repo, b.pool)
		})
	}
}

func requireTenantsApart(t *testing.T, b *bundle, repo *eventstream.Repository, pool *pgxpool.Pool) {
	t.Helper()
	for range 3 {
		for _, tenant := range []eventstream.TenantID{acme, rival} {
			id, other := eventstream.StreamID("order-"+tenant), eventstream.StreamID("order-acme")
			if tenant == acme {
				other = "order-rival"
			}
			own := repo.ForTenant(tenant)
			_, err := own.Append(b.ctx, id, eventstream.Any, someEvents(t, 2)...)
			require.NoError(t, err)
			_, err = own.Load(b.ctx, other)
			require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
			require.NoError(t, pgx.BeginFunc(b.ctx, pool, func(tx pgx.Tx) error {
				_, err := own.WithTx(tx).Append(b.ctx, id, eventstream.Exists, anEvent(t, 1))
				require.NoError(t, err)
				_, err = own.WithTx(tx).Stream(b.ctx, other)
				require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
				return nil
			}))
			for e, err := range own.ReadLog(b.ctx, eventstream.LogOptions{}) {
				require.NoError(t, err)
				require.Equal(t, tenant, e.TenantID)
			}
		}
	}
	require.EqualValues(t, 18, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
}
