package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// Two tenants' writers share batches, streams of the same names are tried by both, readers and a subscription of each run meanwhile: each
// event is its writer's tenant's, each reader gets its own tenant's, all of them at the end, and each id is one tenant's.
func TestTenantsHammer(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	const writers, calls, ids = 4, 40, 12
	tenants := []eventstream.TenantID{acme, rival}
	var mu sync.Mutex
	written := map[eventstream.TenantID]map[uuid.UUID]bool{acme: {}, rival: {}}
	handled := map[eventstream.TenantID]map[uuid.UUID]bool{acme: {}, rival: {}}
	stops := make([]func(), 0, len(tenants))
	waits := make([]*subscription.Subscription, 0, len(tenants))
	for _, tenant := range tenants {
		handler := subscription.TxHandler(func(_ context.Context, _ pgx.Tx, events []eventstream.LogEvent) error {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				if e.TenantID != tenant {
					t.Errorf("subscription of %s got an event of %s", tenant, e.TenantID)
				}
				handled[tenant][e.ID] = true
			}
			return nil
		})
		s, err := subscription.New(b.repo.ForTenant(tenant), "of-"+string(tenant), handler, nil)
		require.NoError(t, err)
		waits = append(waits, s)
		stops = append(stops, keepRunning(t, b, s))
	}
	group, ctx := errgroup.WithContext(b.ctx)
	for w := range writers * len(tenants) {
		tenant := tenants[w%len(tenants)]
		own := b.repo.ForTenant(tenant)
		group.Go(func() error {
			for n := range calls {
				id := eventstream.StreamID(fmt.Sprintf("order-%d", (n*7+w)%ids))
				events := someEvents(t, 1+n%3)
				_, err := own.Append(ctx, id, eventstream.Any, events...)
				var mismatch *eventstream.TenantMismatchError
				switch {
				case err == nil:
					mu.Lock()
					for _, e := range events {
						written[tenant][e.ID] = true
					}
					mu.Unlock()
				case !errors.As(err, &mismatch) || mismatch.StreamTenant != "":
					return err
				}
				for e, err := range own.ReadLog(ctx, eventstream.LogOptions{Backwards: true, Limit: 5}) {
					if err != nil || e.TenantID != tenant {
						return fmt.Errorf("reader of %s: %s, %w", tenant, e.TenantID, err)
					}
				}
				stream, err := own.Load(ctx, id)
				if err == nil && stream.TenantID() != tenant || err != nil && !errors.Is(err, eventstream.ErrStreamNotFound) {
					return fmt.Errorf("loader of %s: %v, %w", tenant, stream, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	for i, tenant := range tenants {
		require.NoError(t, waits[i].WaitFor(b.ctx, drawn(t, b)))
		stops[i]()
		mu.Lock()
		require.Equal(t, written[tenant], handled[tenant], tenant)
		mu.Unlock()
		require.EqualValues(t, len(written[tenant]), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE tenant_id = $1`, string(tenant)))
		require.NotEmpty(t, written[tenant])
	}
	requireAuditClean(t, b)
}

// Appends of many tenants that come together are one statement, in which each is judged as its own.
func TestForTenantSharesStatementsWithOthers(t *testing.T) {
	t.Parallel()
	if os.Getenv("GAPLESS_TEST_GROUP") == "off" {
		t.Skip("without groups there is nothing to share")
	}
	b := setup(t)
	_, err := b.repo.ForTenant(rival).Append(b.ctx, "order-rival", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	taken, repeated := session(t, b), someEvents(t, 1)
	_, err = b.repo.ForTenant("t1").Append(b.ctx, "order-t1", eventstream.Any, repeated...)
	require.NoError(t, err)
	// The first call waits for a stream, so that the others gather.
	simple(t, taken, `BEGIN`, `SELECT eventstream.lock_stream('order-held')`)
	group, errs := errgroup.Group{}, make([]error, 20)
	group.Go(func() error {
		_, err := b.repo.ForTenant(acme).Append(b.ctx, "order-held", eventstream.Any, anEvent(t, 1))
		return err
	})
	for i := range errs {
		group.Go(func() error {
			own := b.repo.ForTenant(eventstream.TenantID(fmt.Sprintf("t%d", i%5)))
			switch i % 4 {
			case 0:
				_, errs[i] = own.Append(b.ctx, "order-rival", eventstream.Exact(1), anEvent(t, 1))
			case 1:
				_, errs[i] = own.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("order-other-%d", i)), eventstream.Any, repeated...)
			default:
				_, errs[i] = own.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("order-new-%d", i)), eventstream.Empty, someEvents(t, 2)...)
			}
			return nil
		})
	}
	simple(t, taken, `COMMIT`)
	require.NoError(t, group.Wait())
	for i, err := range errs {
		switch i % 4 {
		case 0:
			conflict := errorAs[*eventstream.VersionConflictError](t, err)
			require.Zero(t, conflict.Actual)
		case 1:
			conflict := errorAs[*eventstream.EventIDConflictError](t, err)
			require.Empty(t, conflict.FoundStreamID)
		default:
			require.NoError(t, err)
			require.EqualValues(t, 2, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE stream_id = $1 AND tenant_id = $2`,
				fmt.Sprintf("order-new-%d", i), fmt.Sprintf("t%d", i%5)))
		}
	}
}
