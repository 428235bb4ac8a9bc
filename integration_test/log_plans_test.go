package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What reading the log costs: a page reads about what it gives, a sparse reader with its index little more, and one without its index no
// more at once than its window.

// sparseIndexes are the indexes that docs/subscriptions.md offers to readers of little.
var sparseIndexes = map[string]string{
	"type":     `CREATE INDEX CONCURRENTLY events_type_position_idx ON eventstream.events (type, position)`,
	"category": `CREATE INDEX CONCURRENTLY events_category_position_idx ON eventstream.events (eventstream.category(stream_id), position)`,
	"tenant":   `CREATE INDEX CONCURRENTLY events_tenant_position_idx ON eventstream.events (tenant_id, position)`,
}

// measureReads is measure for what a test does on the connection.
func measureReads(t *testing.T, conn *pgx.Conn, read func()) map[string]footprint {
	t.Helper()
	ctx := context.Background()
	simple(t, conn, `BEGIN`)
	before := counters(t, ctx, conn)
	read()
	after := counters(t, ctx, conn)
	simple(t, conn, `COMMIT`)
	touched := map[string]footprint{}
	for table, a := range after {
		was := before[table]
		a.seqScans -= was.seqScans
		a.idxScans -= was.idxScans
		a.idxTuples -= was.idxTuples
		a.blocks -= was.blocks
		touched[table] = a
	}
	return touched
}

// sparseFilters each select 50 of the 60,000 events of sparseLog, and the last two some of them.
var sparseFilters = map[string]eventstream.LogFilter{
	"type":                 {Types: []eventstream.EventType{"rare.one"}},
	"types":                {Types: []eventstream.EventType{"rare.one", "rare.two", "never"}},
	"category":             {Category: "rare"},
	"tenant":               {Tenant: "rare"},
	"type and partition":   {Types: []eventstream.EventType{"rare.one"}, Partitions: []int{7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
	"type, tenant, category": {Types: []eventstream.EventType{"rare.one", "common"}, Tenant: "rare", Category: "rare"},
}

func sparseLog(t *testing.T, b *bundle) {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events SET (autovacuum_enabled = false);
		ALTER TABLE eventstream.partition_marks SET (autovacuum_enabled = false);
		ALTER TABLE eventstream.log_marks SET (autovacuum_enabled = false)`)
	execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, tenant_id)
		SELECT
			CASE WHEN s % 1200 = 700 THEN 'rare-' ELSE 'common-' END || s, 1, s % 32,
			CASE WHEN s % 1200 <> 700 THEN 'common' WHEN s % 2400 = 700 THEN 'rare.one' ELSE 'rare.two' END, '1',
			CASE WHEN s % 1200 = 700 THEN 'rare' ELSE 'common' END
		FROM generate_series(1, 60000) AS s`)
	execSQL(t, b.ctx, b.pool, advance)
}

func TestLogPlansDebug(t *testing.T) {
	b := setup(t)
	sparseLog(t, b)
	conn := session(t, b)
	repo := repoOn(t, conn)
	run := func(what string) {
		for name, filter := range sparseFilters {
			for _, backwards := range []bool{false, true} {
				n := 0
				f := measureReads(t, conn, func() {
					n = len(readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: filter, Backwards: backwards})))
				})
				e := f["eventstream.events"]
				fmt.Printf("%-20s %-24s %-5t n=%d seq=%d idxscans=%d tuples=%d blocks=%d\n", what, name, backwards, n, e.seqScans, e.idxScans, e.idxTuples, e.blocks)
			}
		}
	}
	run("no index")
	for _, sql := range sparseIndexes {
		execSQL(t, b.ctx, b.pool, sql)
	}
	run("index, no stats")
	execSQL(t, b.ctx, b.pool, `ANALYZE eventstream.events`)
	run("index, analyzed")
	execSQL(t, b.ctx, b.pool, `VACUUM ANALYZE eventstream.events`)
	run("index, vacuumed")
	for name, filter := range map[string]eventstream.LogFilter{"all": {}, "common": {Types: []eventstream.EventType{"common"}}, "common category": {Category: "common"}, "one partition": {Partitions: []int{3}}, "half": {Partitions: every(16)}, "partition and type": {Partitions: []int{3}, Types: []eventstream.EventType{"common"}}} {
		for _, backwards := range []bool{false, true} {
			n := 0
			f := measureReads(t, conn, func() {
				n = len(readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: filter, Backwards: backwards})))
			})
			e := f["eventstream.events"]
			fmt.Printf("%-24s %-5t n=%d seq=%d idxscans=%d tuples=%d blocks=%d marks=%v\n", name, backwards, n, e.seqScans, e.idxScans, e.idxTuples, e.blocks, f["eventstream.partition_marks"])
		}
	}
}

func TestLogPlansDebugUnmarked(t *testing.T) {
	b := setup(t)
	execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events SET (autovacuum_enabled = false)`)
	for i := range 60 {
		execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'order-' || $1::integer || '-' || s, 1, s % 32, CASE WHEN s % 10 = 0 THEN 'some' ELSE 'common' END, '1' FROM generate_series(1, 400) AS s`, i)
		execSQL(t, b.ctx, b.pool, `SELECT nextval('eventstream.events_position_seq')`)
	}
	conn := session(t, b)
	repo := repoOn(t, conn)
	for name, filter := range map[string]eventstream.LogFilter{"all": {}, "common": {Types: []eventstream.EventType{"common"}}, "some": {Types: []eventstream.EventType{"some"}}, "one partition": {Partitions: []int{3}}, "half": {Partitions: every(16)}, "partition and type": {Partitions: []int{3}, Types: []eventstream.EventType{"common"}}} {
		for _, backwards := range []bool{false, true} {
			n := 0
			f := measureReads(t, conn, func() {
				n = len(readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: filter, Backwards: backwards})))
			})
			e := f["eventstream.events"]
			fmt.Printf("%-24s %-5t n=%d seq=%d idxscans=%d tuples=%d blocks=%d marks=%v\n", name, backwards, n, e.seqScans, e.idxScans, e.idxTuples, e.blocks, f["eventstream.partition_marks"])
		}
	}
	require.Zero(t, number(t, b.ctx, b.pool, keptPlace))
}
