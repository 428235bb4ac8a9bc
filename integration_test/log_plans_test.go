package integration_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What reading the log costs: a page reads about what it gives, a sparse reader with its index little more, and one without its index no
// more at once than its window.

// sparseIndexes are the indexes that docs/subscriptions.md offers to readers of little.
var sparseIndexes = []string{
	`CREATE INDEX CONCURRENTLY events_type_position_idx ON eventstream.events (type, position)`,
	`CREATE INDEX CONCURRENTLY events_category_position_idx ON eventstream.events (eventstream.category(stream_id), position)`,
	`CREATE INDEX CONCURRENTLY events_tenant_position_idx ON eventstream.events (tenant_id, position)`,
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

// sparseLog is a log of 60,000 events, 50 of which are rare: in their type, of which there are two, in their category and in their tenant.
func sparseLog(t *testing.T, b *bundle) {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, tenant_id)
		SELECT
			CASE WHEN s % 1200 = 700 THEN 'rare-' ELSE 'common-' END || s, 1, s % 32,
			CASE WHEN s % 1200 <> 700 THEN 'common' WHEN s % 2400 = 700 THEN 'rare.one' ELSE 'rare.two' END, '1',
			CASE WHEN s % 1200 = 700 THEN 'rare' ELSE 'common' END
		FROM generate_series(1, 60000) AS s`)
	execSQL(t, b.ctx, b.pool, advance)
}

// withoutAutovacuum keeps it from coming behind the test's back: a new plan would hide a bad one, and the pages that it reads would count.
func withoutAutovacuum(t testing.TB, b *bundle) {
	t.Helper()
	for _, table := range []string{"events", "pending_events", "log_state", "log_marks", "partition_marks", "snapshots"} {
		execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.`+table+` SET (autovacuum_enabled = false)`)
	}
}

// logCost is what a read of the log may cost.
type logCost struct {
	options eventstream.LogOptions
	// events is how many it gives, or up to 300 more, tuples how many index entries of events it may look at.
	events int
	tuples int64
}

func (c logCost) require(t *testing.T, b *bundle, conn *pgx.Conn) {
	t.Helper()
	repo := repoOn(t, conn)
	var events []eventstream.LogEvent
	touched := measureReads(t, conn, func() { events = readAll(t, repo.ReadLog(b.ctx, c.options)) })
	require.InDelta(t, c.events+150, len(events), 150, "%+v", c.options)
	for table, f := range touched {
		if table != "eventstream.log_state" && table != "eventstream.store" {
			require.Zero(t, f.seqScans, "%s, %+v", table, c.options)
		}
	}
	require.LessOrEqual(t, touched["eventstream.events"].idxTuples, c.tuples, "%+v", c.options)
}

// A page looks at little more than it gives: in a session whose plans were made when the log was empty or short, in one that knows no
// statistics, and in one that does.
func TestLogPagesLookAtWhatTheyGive(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	withoutAutovacuum(t, b)
	costs := []logCost{
		{eventstream.LogOptions{Limit: 10_000}, 10_000, 12_000},
		{eventstream.LogOptions{Limit: 10_000, Backwards: true}, 10_000, 14_000},
		{eventstream.LogOptions{From: eventstream.FromSequence(30_001), Limit: 10_000}, 10_000, 14_000},
		{eventstream.LogOptions{From: eventstream.FromSequence(59_901)}, 100, 4_500},
		{eventstream.LogOptions{From: eventstream.FromSequence(30_001), Limit: 10}, 10, 8_500},
		{eventstream.LogOptions{From: eventstream.FromSequence(30_001), Limit: 10, Backwards: true}, 10, 8_500},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: []int{3}}}, 1875, 4_000},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: []int{3, 30}}}, 3750, 8_000},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: every(16)}, Limit: 10_000}, 10_000, 40_000},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: every(16)}, Limit: 10_000, Backwards: true}, 10_000, 40_000},
		// One for the event, and two or three for its number in its partition: those since the last one, and the next.
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Types: []eventstream.EventType{"common"}}, Limit: 10_000}, 10_000, 40_000},
	}
	early := session(t, b)
	for _, count := range []int{0, 300} {
		for n := range count {
			given(t, b, eventstream.StreamID(fmt.Sprintf("few-%d", n)), 1)
		}
		for range 8 {
			for _, c := range costs {
				c.options.From = nil
				c.options.Filter.Partitions = nil
				readAll(t, repoOn(t, early).ReadLog(b.ctx, c.options))
			}
			readAll(t, repoOn(t, early).ReadLog(b.ctx, eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: []int{3}}}))
			readAll(t, repoOn(t, early).ReadLog(b.ctx, eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: every(16)}}))
		}
	}
	sparseLog(t, b)
	for _, conn := range []*pgx.Conn{early, session(t, b)} {
		for _, c := range costs {
			// Without statistics the planner may sort all of the window, which is up to twice the page.
			c.tuples = 2*c.tuples + 1000
			c.require(t, b, conn)
		}
	}
	execSQL(t, b.ctx, b.pool, `ANALYZE`)
	for _, conn := range []*pgx.Conn{early, session(t, b)} {
		for _, c := range costs {
			c.require(t, b, conn)
		}
	}
}

var sparseFilters = []struct {
	index  string // the one that may serve it
	filter eventstream.LogFilter
	events int
}{
	{"type", eventstream.LogFilter{Types: []eventstream.EventType{"rare.one"}}, 25},
	{"type", eventstream.LogFilter{Types: []eventstream.EventType{"rare.one", "rare.two", "never"}}, 50},
	{"type", eventstream.LogFilter{Types: []eventstream.EventType{"never"}}, 0},
	{"category", eventstream.LogFilter{Category: "rare"}, 50},
	{"category", eventstream.LogFilter{Category: "nobody"}, 0},
	{"tenant", eventstream.LogFilter{Tenant: "rare"}, 50},
	{"tenant", eventstream.LogFilter{Tenant: "rare", Types: []eventstream.EventType{"rare.one", "common"}}, 25},
}

// A sparse reader reads with its index little more than it gets: the events, and what lies between them and the marks that number them.
// Right after the index was made, before anybody analyzed, too.
func TestLogSparseReadersUseTheirIndexes(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	withoutAutovacuum(t, b)
	sparseLog(t, b)
	documented, err := os.ReadFile("../docs/subscriptions.md")
	require.NoError(t, err)
	for _, sql := range sparseIndexes {
		require.Contains(t, string(documented), sql+";")
		execSQL(t, b.ctx, b.pool, sql)
	}
	requireAuditClean(t, b)
	requireUsed := func(t *testing.T, conn *pgx.Conn) {
		t.Helper()
		for _, f := range sparseFilters {
			for _, backwards := range []bool{false, true} {
				execSQL(t, b.ctx, conn, `BEGIN`)
				scans := `SELECT pg_stat_get_xact_numscans('eventstream.events_` + f.index + `_position_idx'::regclass)`
				before := number(t, b.ctx, conn, scans)
				readAll(t, repoOn(t, conn).ReadLog(b.ctx, eventstream.LogOptions{Filter: f.filter, Backwards: backwards}))
				used := number(t, b.ctx, conn, scans) - before
				execSQL(t, b.ctx, conn, `COMMIT`)
				require.Positive(t, used, "%+v", f)
				cost := logCost{eventstream.LogOptions{Filter: f.filter, Backwards: backwards}, f.events, int64(f.events*(2+127) + 10)}
				cost.require(t, b, conn)
			}
		}
	}
	conn := session(t, b)
	requireUsed(t, conn)
	execSQL(t, b.ctx, b.pool, `ANALYZE`)
	requireUsed(t, conn)
	requireUsed(t, session(t, b))
}

// Without its index a sparse reader goes through the log, but no statement goes through more than its window.
func TestLogSparseReadersWithoutAnIndexReadByWindows(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	withoutAutovacuum(t, b)
	sparseLog(t, b)
	conn := session(t, b)
	for range 2 {
		for _, f := range sparseFilters {
			if f.events == 0 {
				continue
			}
			// The first one is at 700, or 1,200 or 100 below the end: in the first window.
			for _, backwards := range []bool{false, true} {
				logCost{eventstream.LogOptions{Filter: f.filter, Backwards: backwards, Limit: 1}, 1, 4096 + 130}.require(t, b, conn)
			}
		}
		nothing := eventstream.LogOptions{Filter: eventstream.LogFilter{Category: "nobody"}}
		logCost{nothing, 0, 60_100}.require(t, b, conn)
		touched := measureReads(t, conn, func() { readAll(t, repoOn(t, conn).ReadLog(b.ctx, nothing)) })
		// Windows of 4,096, 16,384, and the rest of 65,536 positions; and the planner looks at the ends of the index.
		require.LessOrEqual(t, touched["eventstream.events"].idxScans, int64(3+2))
		execSQL(t, b.ctx, b.pool, `ANALYZE`)
	}
}

// What has no marks yet, since nobody keeps positions here, is counted about once, and not again for each page.
func TestLogWithoutMarksIsCountedOnce(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	withoutAutovacuum(t, b)
	// Holes, so that no page can be numbered by its positions alone.
	for n := range 60 {
		execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			SELECT 'order-' || $1::integer || '-' || s, 1, s % 32, CASE WHEN s % 10 = 0 THEN 'some' ELSE 'common' END, '1'
			FROM generate_series(1, 400) AS s`, n)
		execSQL(t, b.ctx, b.pool, `SELECT nextval('eventstream.events_position_seq')`)
	}
	conn := session(t, b)
	for _, c := range []struct {
		filter eventstream.LogFilter
		events int
	}{
		{eventstream.LogFilter{}, 24_000},
		{eventstream.LogFilter{Partitions: []int{3}}, 780},
		{eventstream.LogFilter{Partitions: every(16)}, 12_420},
		{eventstream.LogFilter{Types: []eventstream.EventType{"common"}}, 21_600},
		{eventstream.LogFilter{Types: []eventstream.EventType{"some"}}, 2_400},
	} {
		logCost{eventstream.LogOptions{Filter: c.filter}, c.events, 6 * 24_000}.require(t, b, conn)
		// Downwards a page finds the numbers of its lowest events in their partitions from below.
		logCost{eventstream.LogOptions{Filter: c.filter, Backwards: true}, c.events, 16 * 24_000}.require(t, b, conn)
	}
	require.Zero(t, number(t, b.ctx, b.pool, keptPlace))
}
