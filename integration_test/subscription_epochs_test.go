package integration_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// member is a process that is made of SQL: a session that holds a member's lock.
type member struct {
	id   int64
	conn *pgx.Conn
	tx   pgx.Tx
}

func joinBySQL(t *testing.T, b *bundle, id int64) *member {
	t.Helper()
	m := &member{id: id, conn: session(t, b)}
	var err error
	m.tx, err = m.conn.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, m.tx, `SELECT pg_advisory_xact_lock(eventstream.member_key($1))`, id)
	return m
}

// claim gives what the member owns by now, as shard@epoch.
func (m *member) claim(t *testing.T, b *bundle) (owned string) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(b.ctx, `
		SELECT coalesce(string_agg(format('%s@%s', claimed_shard, claimed_epoch - $2), ' ' ORDER BY claimed_shard), '')
		FROM eventstream.claim_shards($1, 'sql', ARRAY['reader'], '1 minute')`, m.id, firstEpoch(t, b)).Scan(&owned))
	return owned
}

// firstEpoch is what the epochs of the subscription began with: tests count from it.
func firstEpoch(t *testing.T, b *bundle) int64 {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT epoch FROM public.first_epoch`)
}

func withReader(t *testing.T, shards int) *bundle {
	t.Helper()
	b := setup(t)
	rounds(t, b, 10, "a-1")
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.subscribe('reader', $1, 'transaction', '{}', '{"from": "beginning"}')`, shards)
	execSQL(t, b.ctx, b.pool, `CREATE TABLE public.first_epoch AS SELECT max(epoch) AS epoch FROM eventstream.subscription_shards`)
	return b
}

func moveTo(t *testing.T, b *bundle, shard int, epoch, position int64) error {
	t.Helper()
	_, err := b.pool.Exec(b.ctx, `SELECT eventstream.move_checkpoint('reader', $1, $2, $3, 1)`, shard, firstEpoch(t, b)+epoch, position)
	return err
}

// Step by step: a process claims, a second one gets its share once the first has given it back, a dead one's shards are free at once, a
// hung one's when its lease ends; each change of owner is a higher epoch.
func TestSubscriptionClaimsStepByStep(t *testing.T) {
	t.Parallel()
	b := withReader(t, 4)
	ghost := &member{id: 7}
	require.Empty(t, ghost.claim(t, b), "who does not hold its lock is not alive")

	first, second := joinBySQL(t, b, 1), joinBySQL(t, b, 2)
	require.Equal(t, "0@1 1@1 2@1 3@1", first.claim(t, b))
	require.Equal(t, "0@1 1@1 2@1 3@1", first.claim(t, b), "a second claim changes nothing")
	require.Empty(t, second.claim(t, b), "nothing is free")
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.release_shard('reader', s, $1) FROM generate_series(2, 3) AS s`, firstEpoch(t, b)+1)
	require.Equal(t, "2@2 3@2", second.claim(t, b))
	require.Equal(t, "0@1 1@1", first.claim(t, b))

	require.NoError(t, first.tx.Rollback(b.ctx)) // as its connection's end would do
	require.Equal(t, "0@2 1@2 2@2 3@2", second.claim(t, b))
	require.Empty(t, first.claim(t, b))

	third := joinBySQL(t, b, 3)
	require.Empty(t, third.claim(t, b))
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.subscription_members SET lease_until = clock_timestamp() - interval '1 ms' WHERE member_id = 2`)
	require.Equal(t, "0@3 1@3 2@3 3@3", third.claim(t, b))
	require.Empty(t, second.claim(t, b), "it is alive again, and waits for its share")

	// Members that have been gone for long are forgotten, live ones are not.
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.subscription_members SET lease_until = clock_timestamp() - interval '1 hour' WHERE member_id <> 3`)
	third.claim(t, b)
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subscription_members`))
}

// Two claims at once: neither waits for the other, and no shard has two owners.
func TestSubscriptionClaimsDoNotWait(t *testing.T) {
	t.Parallel()
	b := withReader(t, 4)
	first, second := joinBySQL(t, b, 1), joinBySQL(t, b, 2)
	require.Equal(t, "0@1 1@1 2@1 3@1", first.claim(t, b))
	require.NoError(t, first.tx.Rollback(b.ctx))
	holder := session(t, b)
	tx, err := holder.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, tx, `SELECT FROM eventstream.subscription_shards WHERE shard < 2 FOR UPDATE`)
	require.Equal(t, "2@2 3@2", second.claim(t, b), "what somebody holds is left for later")
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT eventstream.move_idle_checkpoints(
		ARRAY['reader', 'reader'], ARRAY[0, 2], ARRAY[$1::bigint + 1, $1::bigint + 2], ARRAY[5, 5])`, firstEpoch(t, b)), "the poller does not wait either")
	require.NoError(t, tx.Rollback(b.ctx))
	require.Equal(t, "0@2 1@2 2@2 3@2", second.claim(t, b))
}

// Only the owner of the current epoch moves a checkpoint, forwards, and up to the end of the log.
func TestSubscriptionCheckpointIsFenced(t *testing.T) {
	t.Parallel()
	b := withReader(t, 2)
	first := joinBySQL(t, b, 1)
	require.Equal(t, "0@1 1@1", first.claim(t, b))
	require.NoError(t, moveTo(t, b, 0, 1, 5))
	require.NoError(t, moveTo(t, b, 0, 1, 5), "to the same place is no step back")
	refusal := requireSQLState(t, moveTo(t, b, 0, 1, 4), "ES012")
	require.Contains(t, refusal.Message, "at position 5")
	refusal = requireSQLState(t, moveTo(t, b, 0, 1, 99), "ES013")
	require.Equal(t, "position 99 is beyond the end of the log, which is at 10", refusal.Message)
	requireSQLState(t, moveTo(t, b, 0, 0, 6), "ES012")
	requireSQLState(t, moveTo(t, b, 0, 2, 6), "ES012")
	refusal = requireSQLState(t, moveTo(t, b, 9, 1, 6), "ES012")
	require.Contains(t, refusal.Message, "epoch none")

	// Who has lost a shard neither moves nor releases it.
	require.NoError(t, first.tx.Rollback(b.ctx))
	second := joinBySQL(t, b, 2)
	require.Equal(t, "0@2 1@2", second.claim(t, b))
	refusal = requireSQLState(t, moveTo(t, b, 0, 1, 6), "ES012")
	require.Contains(t, refusal.Detail, `"position": 5, "new_position": 6`)
	var released, again bool
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT eventstream.release_shard('reader', 0, $1), eventstream.release_shard('reader', 0, $1 + 1)`,
		firstEpoch(t, b)+1).Scan(&released, &again))
	require.Equal(t, []bool{false, true}, []bool{released, again})
	require.Equal(t, int64(5), number(t, b.ctx, b.pool, `SELECT position FROM eventstream.subscription_shards WHERE shard = 0`))

	// Idle moves of many shards leave those of others where they are.
	idle := func(epoch, position int64) int64 {
		return number(t, b.ctx, b.pool, `SELECT eventstream.move_idle_checkpoints(ARRAY['reader'], ARRAY[1], ARRAY[$1::bigint], ARRAY[$2::bigint])`,
			firstEpoch(t, b)+epoch, position)
	}
	require.Zero(t, idle(1, 7), "an old epoch")
	require.Equal(t, int64(1), idle(2, 7))
	require.Equal(t, int64(1), idle(2, 3), "it is there")
	require.Zero(t, idle(2, 99), "beyond the end")
	require.Equal(t, int64(7), number(t, b.ctx, b.pool, `SELECT position FROM eventstream.subscription_shards WHERE shard = 1`))
}

// An owner from before a subscription was deleted does not own the one that was created under its name afterwards.
func TestSubscriptionEpochsOutliveTheSubscription(t *testing.T) {
	t.Parallel()
	b := withReader(t, 1)
	first := joinBySQL(t, b, 1)
	first.claim(t, b)
	old := number(t, b.ctx, b.pool, `SELECT epoch FROM eventstream.subscription_shards`)
	for range 3 {
		require.NoError(t, subscription.Delete(b.ctx, b.repo, "reader"))
		execSQL(t, b.ctx, b.pool, `SELECT eventstream.subscribe('reader', 1, 'transaction', '{}', '{"from": "beginning"}')`)
		require.Greater(t, number(t, b.ctx, b.pool, `SELECT epoch FROM eventstream.subscription_shards`), old)
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.move_checkpoint('reader', 0, $1, 5, 1)`, old)
		requireSQLState(t, err, "ES012")
		first.claim(t, b)
		old = number(t, b.ctx, b.pool, `SELECT epoch FROM eventstream.subscription_shards`)
	}
}

// Each change that takes the shards from their owners fences them: what was under way does not get through.
func TestSubscriptionChangesFence(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *bundle) error{
		"Pause":   func(b *bundle) error { return subscription.Pause(b.ctx, b.repo, "reader") },
		"Reset":   func(b *bundle) error { return subscription.Reset(b.ctx, b.repo, "reader", eventstream.FromBeginning) },
		"Reshard": func(b *bundle) error { return subscription.Reshard(b.ctx, b.repo, "reader", 2) },
		"Skip":    func(b *bundle) error { return subscription.SkipEvent(b.ctx, b.repo, "reader", 3, "why") },
		"Delete":  func(b *bundle) error { return subscription.Delete(b.ctx, b.repo, "reader") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withReader(t, 1)
			owner := joinBySQL(t, b, 1)
			require.Equal(t, "0@1", owner.claim(t, b))
			require.NoError(t, moveTo(t, b, 0, 1, 1))
			require.NoError(t, change(b))
			requireSQLState(t, moveTo(t, b, 0, 1, 5), "ES012")
		})
	}
}

// A skip of what is behind the checkpoint takes nothing from anybody, and waits only for a batch that is being committed.
func TestSubscriptionSkipBehindTheCheckpoint(t *testing.T) {
	t.Parallel()
	b := withReader(t, 1)
	owner := joinBySQL(t, b, 1)
	require.Equal(t, "0@1", owner.claim(t, b))
	require.NoError(t, moveTo(t, b, 0, 1, 5))
	require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", 5, "why"))
	require.NoError(t, moveTo(t, b, 0, 1, 6))

	committing := session(t, b)
	tx, err := committing.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, tx, `SELECT eventstream.move_checkpoint('reader', 0, $1, 8, 2)`, firstEpoch(t, b)+1)
	skipping := session(t, b)
	skipped := start(func() (any, error) {
		_, err := skipping.Exec(b.ctx, `SELECT eventstream.skip_event('reader', 8, 'why')`)
		return nil, err
	})
	waitBlocked(t, b, skipping.PgConn().PID(), committing.PgConn().PID())
	require.NoError(t, tx.Commit(b.ctx))
	select {
	case got := <-skipped:
		require.NoError(t, got.err)
	case <-time.After(blockTimeout):
		t.Fatal("the skip still waits")
	}
	require.NoError(t, moveTo(t, b, 0, 1, 9), "it came too late, and took nothing")
}
