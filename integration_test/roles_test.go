package integration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// subscriberRights are what docs/design.md says that a role needs, besides USAGE and SELECT, to run subscriptions and to replay.
const subscriberRights = `
GRANT USAGE ON SCHEMA eventstream TO subscriber;
GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO subscriber;
GRANT EXECUTE ON FUNCTION eventstream.subscribe, eventstream.claim_shards, eventstream.release_shard, eventstream.move_checkpoint,
    eventstream.move_idle_checkpoints, eventstream.park_events, eventstream.advance_stable_position TO subscriber;
GRANT UPDATE, DELETE ON eventstream.parked_events TO subscriber;`

// asRole is a repository whose sessions may do what a role may.
func asRole(t testing.TB, b *bundle, role string) *eventstream.Repository {
	t.Helper()
	return repoOn(t, newPool(t, b.dsn, func(c *pgxpool.Config) {
		c.AfterConnect = authorized(role)
	}))
}

func TestASubscriberNeedsTheRightsThatTheDesignNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	given(t, b, "order-1", 3)
	broken := errors.New("broken")
	handler := subscription.EffectHandler(func(_ context.Context, events []eventstream.LogEvent) error {
		for _, e := range events {
			if e.Version == 2 && broken != nil {
				return broken
			}
		}
		return nil
	})
	config := &subscription.Config{OnFailure: subscription.ParkStream, MaxTries: 1, MinBackoff: time.Millisecond}

	without, err := subscription.New(asRole(t, b, role), "reader", handler, config)
	require.NoError(t, err)
	require.ErrorContains(t, without.Run(b.ctx), "permission denied")

	for _, grant := range strings.SplitAfter(strings.ReplaceAll(subscriberRights, "TO subscriber", "TO "+role), ";") {
		_, err := b.pool.Exec(b.ctx, grant)
		require.NoError(t, err)
	}
	repo := asRole(t, b, role)
	s, err := subscription.New(repo, "reader", handler, config)
	require.NoError(t, err)
	stop := keepRunning(t, b, s)
	require.NoError(t, s.WaitFor(b.ctx, drawn(t, b)))
	stop()
	broken = nil
	replayed, err := s.ReplayParked(b.ctx)
	require.NoError(t, err)
	require.Equal(t, 2, replayed)
	_, err = s.Lag(b.ctx)
	require.NoError(t, err)

	// What changes a subscription is for others.
	for _, err := range []error{
		subscription.Reshard(b.ctx, repo, "reader", 2),
		subscription.Reset(b.ctx, repo, "reader", eventstream.FromBeginning),
		subscription.Pause(b.ctx, repo, "reader"),
		subscription.SkipEvent(b.ctx, repo, "reader", 1, "none of its business"),
		subscription.Delete(b.ctx, repo, "reader"),
	} {
		require.ErrorContains(t, err, "permission denied")
	}
}

// authorized lets the sessions of a pool be those of a role.
func authorized(role string) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET SESSION AUTHORIZATION "+role)
		return err
	}
}
