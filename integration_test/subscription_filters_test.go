package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// mixed gives streams of several categories, types and tenants.
func mixed(t *testing.T, b *bundle, count int) {
	t.Helper()
	for i := range count {
		tenant := eventstream.TenantID([]string{"acme", "beta"}[i%2])
		id := eventstream.StreamID(fmt.Sprintf("%s-%s-%d", []string{"order", "invoice", "plain"}[i%3], tenant, i%9))
		e, err := eventstream.NewEvent([]string{"a.placed", "b.paid", "c.shipped"}[i/3%3], map[string]int{"n": i},
			eventstream.WithTenant(tenant))
		require.NoError(t, err)
		_, err = b.repo.Append(b.ctx, id, eventstream.Any, e)
		require.NoError(t, err)
	}
}

var filters = map[string]struct {
	filter eventstream.LogFilter
	where  string
}{
	"Everything": {eventstream.LogFilter{}, `true`},
	"Partitions": {eventstream.LogFilter{Partitions: []int{3, 7, 7, 1, 20, 12, 13, 14}}, `partition_id IN (1, 3, 7, 12, 13, 14, 20)`},
	"One":        {eventstream.LogFilter{Partitions: []int{5}}, `partition_id = 5`},
	"Category":   {eventstream.LogFilter{Category: "order"}, `split_part(stream_id, '-', 1) = 'order'`},
	"Types":      {eventstream.LogFilter{Types: []eventstream.EventType{"a.placed", "c.shipped"}}, `type IN ('a.placed', 'c.shipped')`},
	"Tenant":     {eventstream.LogFilter{Tenant: "beta"}, `tenant_id = 'beta'`},
	"Combined": {
		eventstream.LogFilter{
			Partitions: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, Category: "invoice", Tenant: "acme",
			Types: []eventstream.EventType{"a.placed", "b.paid"},
		},
		`partition_id <= 20 AND stream_id LIKE 'invoice-%' AND tenant_id = 'acme' AND type IN ('a.placed', 'b.paid')`,
	},
	"NothingAtAll": {eventstream.LogFilter{Category: "nowhere"}, `false`},
}

// A filter selects events, with one shard and with several, and the numbers that they carry are those of the whole log and of their
// partition. The checkpoint moves over what is not selected: nothing of it counts as lag, and WaitFor returns.
func TestSubscriptionFilters(t *testing.T) {
	t.Parallel()
	for name, c := range filters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			mixed(t, b, 60)
			byShards := map[int]*journal{}
			var subscriptions []*subscription.Subscription
			for _, shards := range []int{1, 4, 32} {
				j := newJournal()
				byShards[shards] = j
				s := subscribe(t, b, fmt.Sprintf("reader-%d", shards), subscription.EffectHandler(j.effect),
					&subscription.Config{Shards: shards, Filter: c.filter})
				subscriptions = append(subscriptions, s)
				keepRunning(t, b, s)
			}
			for range 2 {
				for _, s := range subscriptions {
					awaitCheckpoint(t, b, s)
					lag, err := s.Lag(b.ctx)
					require.NoError(t, err)
					for _, shard := range lag {
						require.Equal(t, []any{int64(0), drawn(t, b), 0.0}, []any{shard.Events, shard.Position, shard.Age.Seconds()}, s.Name())
					}
				}
				want := positionsSQL(t, b, `SELECT position FROM eventstream.events WHERE `+c.where+` ORDER BY position`)
				for shards, j := range byShards {
					var got []int64
					for _, e := range j.all() {
						got = append(got, e.Position)
					}
					if shards == 1 {
						require.Equal(t, want, append([]int64{}, got...))
					} else {
						require.ElementsMatch(t, want, got, "%d shards", shards)
					}
					requireNumbersFit(t, b, j.all())
				}
				mixed(t, b, 30)
			}
		})
	}
}

// requireNumbersFit demands that events carry the numbers that a count gives.
func requireNumbersFit(t testing.TB, b *bundle, events []eventstream.LogEvent) {
	t.Helper()
	var positions, sequences, inPartitions []int64
	for _, e := range events {
		positions, sequences, inPartitions = append(positions, e.Position), append(sequences, e.Sequence), append(inPartitions, e.PartitionSequence)
	}
	requireNoRow(t, b, `
		SELECT u.position, u.sequence, n.sequence, u.in_partition, n.in_partition
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (position, sequence, in_partition)
		LEFT JOIN (
			SELECT position, row_number() OVER (ORDER BY position) AS sequence,
				row_number() OVER (PARTITION BY partition_id ORDER BY position) AS in_partition
			FROM eventstream.events) AS n ON n.position = u.position
		WHERE (u.sequence, u.in_partition) IS DISTINCT FROM (n.sequence, n.in_partition) LIMIT 10`, positions, sequences, inPartitions)
}
