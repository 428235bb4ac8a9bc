package integration_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// An audit of a store of 10,000,000 events that was clean an hour ago, since when 10,000 came, takes less than a second of the server's time. The store is of that
// size with GAPLESS_TEST_LONG=1, and has 100,000 events else; it is built on a server of its own, which goes with the test, and needs 8 GB.
func TestAuditOfALargeStoreTakesLessThanASecond(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	const batch = 10_000 // streams, of 10 events each
	batches := 1
	if longForm() {
		batches = 100
	}
	own := ownServer(t, pgserver.Options{Settings: map[string]string{
		"max_wal_size": "4GB", "maintenance_work_mem": "256MB", "autovacuum": "off",
	}})
	b := onServer(t, own, createDatabase(t, own)).bundle
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	t.Cleanup(cancel)
	b.ctx = ctx
	require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	for n := range batches {
		fill(t, b, fmt.Sprintf("order-%d", n), batch)
	}
	keep(t, b)
	sealAll(t, b, 10_000)
	execSQL(t, b.ctx, b.pool, `VACUUM (ANALYZE) eventstream.events`)
	began := time.Now()
	require.Empty(t, runAudit(t, b, false), "the first one reads everything")
	t.Logf("a full audit of %d events: %v", batches*batch*10, time.Since(began))

	fill(t, b, "late", 500)
	execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'order-0-' || s, v, s % 32, 'order.paid', '{"total": 42}' FROM generate_series(1, 500) AS s, generate_series(11, 20) AS v ORDER BY v, s`)
	keep(t, b)
	sealAll(t, b, 10_000)
	var took []time.Duration
	for range 5 {
		conn := session(t, b) // with no plan and no catalog in its memory, as that of a job
		before := backendTime(t, b, conn)
		simple(t, conn, `BEGIN READ ONLY`, `SELECT * FROM eventstream.run_audit()`, `COMMIT`)
		took = append(took, time.Duration(backendTime(t, b, conn)-before))
	}
	t.Logf("CPU time of the server for what came since then: %v", took)
	require.Less(t, slices.Min(took), time.Second, "on a machine with nothing else to do, CPU time is what it takes")
	require.Empty(t, runAudit(t, b, false))
	runs, err := b.repo.AuditRuns(b.ctx, 2)
	require.NoError(t, err)
	require.Equal(t, runs[1].Run, runs[0].Since)
	require.EqualValues(t, 10_000, runs[0].Position-runs[1].Position)
}
