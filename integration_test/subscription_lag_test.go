package integration_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// Lag is told from the marks: it touches as much of the database for a long backlog as for a short one, with one shard and with many, where
// the events are in all partitions and where they are in one.
func TestSubscriptionLagCostsTheSameWhateverTheBacklog(t *testing.T) {
	t.Parallel()
	for _, streams := range []int{1, 100} {
		t.Run(fmt.Sprint(streams, " streams"), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for i, shards := range []int{1, 1, 4, 32} {
				s := subscribe(t, b, fmt.Sprintf("reader-%d", i), subscription.TxHandler(newJournal().tx), &subscription.Config{Shards: shards})
				require.NoError(t, s.Create(b.ctx))
			}
			unnumbered(t, b, 3000, streams)
			keepAll(t, b)
			short := lagBuffers(t, b)
			_, err := b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id)
				SELECT e.stream_id, e.version + n.n * $1::integer, e.type, e.payload, e.partition_id
				FROM eventstream.events AS e CROSS JOIN generate_series(1, 19) AS n (n) ORDER BY 2, 1`, 3000/streams)
			require.NoError(t, err)
			keepAll(t, b)
			long := lagBuffers(t, b)
			t.Logf("%d blocks for 3,000 events, %d for 60,000", short, long)
			require.Less(t, long, 2*short+200)
			requireLag(t, b, 60_000)
			_, err = b.pool.Exec(b.ctx, `ANALYZE`)
			require.NoError(t, err)
			require.Less(t, lagBuffers(t, b), 2*short+200, "with statistics")
		})
	}
}

func keepAll(t testing.TB, b *bundle) {
	t.Helper()
	for number(t, b.ctx, b.pool, keptPlace) < drawn(t, b) {
		execSQL(t, b.ctx, b.pool, advance)
	}
}

func requireLag(t testing.TB, b *bundle, events int64) {
	t.Helper()
	lags, err := subscription.List(b.ctx, b.repo)
	require.NoError(t, err)
	behind := map[string]int64{}
	for _, l := range lags {
		behind[l.Subscription] += l.Events
		require.Equal(t, l.Events > 0, l.Age > 0)
	}
	for name, n := range behind {
		require.Equal(t, events, n, name)
	}
	require.Len(t, behind, 4)
}

// lagBuffers is how many blocks a look at all lags touches.
func lagBuffers(t testing.TB, b *bundle) int {
	t.Helper()
	var text []byte
	// Twice, since the first call reads the catalog.
	for range 2 {
		require.NoError(t, b.pool.QueryRow(b.ctx, `EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM eventstream.audit_subscriptions`).Scan(&text))
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	require.NoError(t, json.Unmarshal(text, &plans))
	return plans[0].Plan.Hit + plans[0].Plan.Read
}

// A backlog that has no marks is counted once, not once a shard; from Go it gets its marks first.
func TestSubscriptionLagOfWhatHasNoMarks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, shards := range []int{1, 1, 4, 32} {
		s := subscribe(t, b, fmt.Sprintf("reader-%d", i), subscription.TxHandler(newJournal().tx), &subscription.Config{Shards: shards})
		require.NoError(t, s.Create(b.ctx))
	}
	unnumbered(t, b, 60_000, 100)
	require.Equal(t, int64(60_000), number(t, b.ctx, b.pool, `SELECT min(n) FROM (
		SELECT sum(lag_events)::bigint AS n FROM eventstream.audit_subscriptions GROUP BY subscription) AS s`))
	requireLag(t, b, 60_000)
	require.Positive(t, number(t, b.ctx, b.pool, keptPlace))
}

// The states of a shard in Go are all that the database tells.
func TestSubscriptionShardStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := subscribe(t, b, "reader", subscription.TxHandler(newJournal().tx), nil)
	require.NoError(t, s.Create(b.ctx))
	requireState := func(want subscription.ShardState) {
		t.Helper()
		lag, err := s.Lag(b.ctx)
		require.NoError(t, err)
		require.Equal(t, want, lag[0].State)
	}
	requireState(subscription.ShardFree)
	require.NoError(t, subscription.Pause(b.ctx, b.repo, "reader"))
	requireState(subscription.ShardPaused)
	require.NoError(t, subscription.Resume(b.ctx, b.repo, "reader"))
	requireState(subscription.ShardFree)
	r := run1(t, b, s)
	awaitCheckpoint(t, b, s)
	awaitSQL(t, b, "owned", `SELECT state FROM eventstream.audit_subscriptions`)
	requireState(subscription.ShardOwned)
	r.stop(t)
	// As a process leaves it that is gone without a word.
	execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.subscription_members (member_id, application, subscriptions, lease_until)
		VALUES (7, 'gone', ARRAY['reader'], now())`)
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.subscription_shards SET member_id = 7`)
	requireState(subscription.ShardOwnerGone)
}
