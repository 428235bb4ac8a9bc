package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// The look-ups of a chunk keep the plan that they got while the tables were empty, and nobody ran ANALYZE. They find what they look
// for by indexes all the same, on PostgreSQL's first way of planning as on its second.
func TestImportNeverScansATable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	importer := session(t, b)
	repo := repoOn(t, importer)
	scans := func() int64 {
		// In one round trip, as of now: the server would else report what the session did a second later.
		_, err := importer.Exec(b.ctx, `SELECT pg_stat_force_next_flush()`)
		require.NoError(t, err)
		return number(t, b.ctx, importer, `
			SELECT sum(pg_stat_get_numscans(c))::bigint
			FROM unnest('{eventstream.events,eventstream.pending_events}'::regclass[]) AS c`)
	}
	before := scans()
	for n := range 12 {
		id := eventstream.StreamID(fmt.Sprintf("plan-%d", n%3))
		_, err := repo.Import(b.ctx, sourceOf(of(id, anEvent(t, n))...))
		require.NoError(t, err)
	}
	h := history{events: 2 * eventstream.MaxImportEvents, perStream: 7}
	for range 2 {
		_, err := repo.Import(b.ctx, h.all())
		require.NoError(t, err)
	}
	require.Equal(t, before, scans())
	// What no index has: autovacuum may have made counting by an index cheaper.
	_, err := importer.Exec(b.ctx, `SELECT max(recorded_at) FROM eventstream.events`)
	require.NoError(t, err)
	require.Equal(t, before+1, scans(), "a scan would have been seen")
	requireAuditClean(t, b)
}
