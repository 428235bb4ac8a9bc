package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// tagIndex is the statement of docs/modelling-tags.md.
const tagIndex = `CREATE INDEX CONCURRENTLY events_tags_idx ON eventstream.events
	USING gin ((metadata -> 'tags') jsonb_path_ops) WHERE metadata ? 'tags'`

// pagesRead is how many pages of events and its indexes are touched during a call, by any session.
func pagesRead(t *testing.T, b *bundle, call func()) int64 {
	t.Helper()
	const pages = `SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
		FROM pg_catalog.pg_statio_all_tables WHERE schemaname = 'eventstream' AND relname = 'events'`
	flush := func() int64 {
		execSQL(t, b.ctx, b.pool, `SELECT pg_stat_force_next_flush()`)
		return number(t, b.ctx, b.pool, pages)
	}
	before := flush()
	call()
	return flush() - before
}

// A decision on a recent position reads what came after it, however much there was before, with and without the index. One on a position far
// back reads the log from there without the index, and what carries the tag with it. Statistics do not matter: there are none.
func TestTagsPlans(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t, withMaxConns(1))
	withoutAutovacuum(t, b) // autovacuum's pages would count too
	_, err := b.repo.Append(b.ctx, "first-1", eventstream.Empty, tagged(t, "course:7"))
	require.NoError(t, err)
	for i := range 4 {
		events := someEvents(t, 5000)
		for k := range events {
			events[k] = tagged(t, "other", "x")
		}
		_, err = b.repo.Append(b.ctx, eventstream.StreamID("bulk-"+string(rune('a'+i))), eventstream.Empty, events...)
		require.NoError(t, err)
	}
	decides := func(at int64, id eventstream.StreamID) func() {
		return func() {
			_, err := decide(t, b.ctx, b.repo, byTags("course:7"), at, id)
			require.NoError(t, err)
		}
	}
	recent := pagesRead(t, b, decides(20_000, "a-1"))
	far := pagesRead(t, b, decides(1, "a-2"))
	execSQL(t, b.ctx, b.pool, tagIndex)
	indexedRecent := pagesRead(t, b, decides(20_000, "a-3"))
	indexedFar := pagesRead(t, b, decides(1, "a-4"))
	t.Logf("pages: recent %d, far back %d; with the index: recent %d, far back %d", recent, far, indexedRecent, indexedFar)
	require.Less(t, recent, int64(120))
	require.Less(t, indexedRecent, int64(120))
	require.Greater(t, far, int64(300))
	require.Less(t, indexedFar, int64(120))
	requireAuditClean(t, b)
}
