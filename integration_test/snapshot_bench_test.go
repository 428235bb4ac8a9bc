package integration_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// BenchmarkSnapshotLoad loads a stream of 10 events, and one of 100,000 on a snapshot with a tail of 99, as long as the usual policy lets it
// grow, and without. server-ms is the median time of the statement in the server (EXPLAIN ANALYZE): others may use the machine too.
func BenchmarkSnapshotLoad(b *testing.B) {
	t := setup(b)
	execSQL(b, t.ctx, t.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT s.id, v, 0, 'account.moved', '{"amount": 42, "by": "transfer from another account"}'
		FROM (VALUES ('short', 10), ('long', 100000)) AS s (id, events) CROSS JOIN LATERAL generate_series(1, s.events) AS v`)
	execSQL(b, t.ctx, t.pool, `SELECT eventstream.save_snapshot(e.stream_id, 'tally', e.version, e.event_id, 1, '{"balance": 4195758}')
		FROM eventstream.events AS e WHERE e.stream_id = 'long' AND e.version = 99901`)
	execSQL(b, t.ctx, t.pool, `ANALYZE eventstream.events`)
	for _, c := range []struct{ name, stream, snapshot string }{
		{"of 10 events", "short", "tally"}, {"of 100,000 on a snapshot", "long", "tally"}, {"of 100,000 whole", "long", "none"},
	} {
		b.Run(c.name, func(b *testing.B) {
			kind := eventstream.SnapshotKind{Name: c.snapshot, SchemaVersion: 1}
			conn := session(b, t)
			repo, server := repoOn(b, conn), []float64{}
			for b.Loop() {
				_, _, err := repo.LoadOnSnapshot(t.ctx, eventstream.StreamID(c.stream), kind)
				require.NoError(b, err)
				b.StopTimer()
				var plans []byte
				require.NoError(b, conn.QueryRow(t.ctx, `EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM eventstream.load_snapshot('`+
					c.stream+`', '`+c.snapshot+`', 1)`).Scan(&plans))
				var plan []struct {
					Time float64 `json:"Execution Time"`
				}
				require.NoError(b, json.Unmarshal(plans, &plan))
				server = append(server, plan[0].Time)
				b.StartTimer()
			}
			slices.Sort(server)
			b.ReportMetric(server[len(server)/2], "server-ms/op")
		})
	}
}
