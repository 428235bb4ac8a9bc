package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// A role that was given nothing but to read, or to write events, can neither move a checkpoint nor change a subscription, by function or
// by table; what a subscriber needs is a few grants, and with them it cannot write events.
func TestSubscriptionRights(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 3, "a-1")
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), nil)
	stop := keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	stop()
	writer := writerRole(t, b)
	auditor := newRole(t, b)
	execSQL(t, b.ctx, b.pool, fmt.Sprintf(`GRANT USAGE ON SCHEMA eventstream TO %[1]s; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO %[1]s`, auditor))
	for _, role := range []string{writer, auditor} {
		conn := connect(t, b.dsn, role)
		for _, sql := range []string{
			`SELECT eventstream.move_checkpoint('reader', 0, 1, 1, 1)`,
			`SELECT eventstream.move_idle_checkpoints(ARRAY['reader'], ARRAY[0], ARRAY[1], ARRAY[1])`,
			`SELECT eventstream.record_failure('reader', 0, 1, 1, NULL, 1, 'why')`,
			`SELECT eventstream.forget_failure('reader', 0)`,
			`SELECT * FROM eventstream.claim_shards(1, 'me', ARRAY['reader'], '1 s')`,
			`SELECT eventstream.release_shard('reader', 0, 1)`,
			`SELECT eventstream.subscribe('other', 1, 'transaction', '{}', '{"from": "latest"}')`,
			`SELECT eventstream.reshard_subscription('reader', 2)`,
			`SELECT eventstream.reset_subscription('reader', '{"from": "latest"}')`,
			`SELECT eventstream.pause_subscription('reader', true)`,
			`SELECT eventstream.replace_subscription('reader', 'reader')`,
			`SELECT eventstream.delete_subscription('reader')`,
			`SELECT eventstream.park_events('reader', ARRAY[1], 1, 'why')`,
			`SELECT eventstream.skip_event('reader', 1, 'why')`,
			`UPDATE eventstream.subscription_shards SET position = 2`,
			`DELETE FROM eventstream.subscription_shards`,
			`INSERT INTO eventstream.subscription_skips (subscription, position, reason) VALUES ('reader', 1, 'why')`,
			`DELETE FROM eventstream.subscriptions`,
			`DELETE FROM eventstream.parked_events`,
			`UPDATE eventstream.subscription_members SET lease_until = now()`,
			// What these are made of leads past them neither.
			`SELECT eventstream.fence_subscription('reader')`,
			`SELECT eventstream.remove_shards('reader')`,
			`SELECT eventstream.lay_out_shards('reader', 2, 0, '{}', 0)`,
		} {
			_, err := conn.Exec(b.ctx, sql)
			requireSQLState(t, err, "42501")
		}
	}
	var states int
	conn := connect(t, b.dsn, auditor)
	require.NoError(t, conn.QueryRow(b.ctx, `SELECT count(*) FROM eventstream.audit_subscriptions WHERE state = 'free' AND position = 3`).Scan(&states))
	require.Equal(t, 1, states, "an auditor sees how far it is")
}

// subscriberGrants is what the role of a process needs that runs subscriptions.
const subscriberGrants = `
	GRANT USAGE ON SCHEMA eventstream TO %[1]s;
	GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO %[1]s;
	GRANT UPDATE, DELETE ON eventstream.parked_events TO %[1]s;
	GRANT EXECUTE ON FUNCTION
		eventstream.advance_stable_position(interval),
		eventstream.subscribe(text, integer, text, jsonb, jsonb),
		eventstream.claim_shards(bigint, text, text[], interval),
		eventstream.release_shard(text, integer, bigint),
		eventstream.move_checkpoint(text, integer, bigint, bigint, bigint, text),
		eventstream.move_idle_checkpoints(text[], integer[], bigint[], bigint[]),
		eventstream.record_failure(text, integer, bigint, bigint, uuid, integer, text),
		eventstream.park_events(text, bigint[], integer, text) TO %[1]s;
	GRANT SELECT, INSERT ON public.handled TO %[1]s`

func TestSubscriptionRightsThatAreEnough(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, fmt.Sprintf(subscriberGrants, role))
	subscriber := anotherProcess(t, b, nil, inPlaceOf(role))
	rounds(t, b, 5, "a-1", "b-1")
	p := poisoned(-1, 4)
	s := subscribe(t, subscriber, "reader", handlerKinds["tx"](b, p.decide), quick(subscription.ParkStream))
	stop := keepRunning(t, subscriber, s)
	awaitCheckpoint(t, b, s)
	p.cure(4)
	handled, err := s.ReplayParked(b.ctx)
	require.NoError(t, err)
	require.Equal(t, 4, handled)
	requireHandledOnce(t, b)
	lag, err := s.Lag(b.ctx)
	require.NoError(t, err)
	require.Zero(t, lag[0].Events)
	stop()

	conn := connect(t, b.dsn, role)
	for _, sql := range []string{
		`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload) VALUES ('a', 1, 0, 't', '{}')`,
		`UPDATE eventstream.subscription_shards SET position = 2`,
		`SELECT eventstream.skip_event('reader', 1, 'why')`,
		`SELECT eventstream.delete_subscription('reader')`,
	} {
		_, err := conn.Exec(b.ctx, sql)
		requireSQLState(t, err, "42501")
	}
}

// inPlaceOf lets the sessions of a pool take a role's place.
func inPlaceOf(role string) bundleOption {
	return func(c *pgxpool.Config) {
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET SESSION AUTHORIZATION "+role)
			return err
		}
	}
}
