package integration_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Large payloads are compressed by lz4 where the server has it.
func TestStorageCompressesLargePayloads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const payload = `{"text":"%s"}`
	for i, length := range []int{100, 100_000} {
		event, err := eventstream.NewEvent("tested.stored", json.RawMessage(fmt.Sprintf(payload, strings.Repeat("large ", length/6))))
		require.NoError(t, err)
		_, err = b.repo.Append(b.ctx, eventstream.StreamID(fmt.Sprint("size-", i)), eventstream.Empty, event)
		require.NoError(t, err)
	}
	var small, large *string
	var has bool
	var bytes int64
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT
		(SELECT pg_column_compression(payload) FROM eventstream.events WHERE stream_id = 'size-0'),
		(SELECT pg_column_compression(payload) FROM eventstream.events WHERE stream_id = 'size-1'),
		(SELECT pg_column_size(payload) FROM eventstream.events WHERE stream_id = 'size-1'),
		(SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression')`).Scan(&small, &large, &bytes, &has))
	require.Nil(t, small)
	require.NotNil(t, large)
	if has {
		require.Equal(t, "lz4", *large)
	}
	require.Less(t, bytes, int64(10_000))
}

// Updates of a head stay within its page, without a new entry in any index: where the page has room, which fillfactor leaves, and pruning
// makes again.
func TestStorageHeadsAreUpdatedInPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	repo, err := eventstream.NewRepository(conn, nil)
	require.NoError(t, err)
	const streams, rounds = 100, 20
	for round := range rounds {
		for i := range streams {
			_, err := repo.Append(b.ctx, eventstream.StreamID(fmt.Sprint("head-", i)), eventstream.Exact(int64(round)), anEvent(t, round))
			require.NoError(t, err)
		}
	}
	_, err = conn.Exec(b.ctx, `SELECT pg_stat_force_next_flush()`)
	require.NoError(t, err)
	count := func(column string) int64 {
		return number(t, b.ctx, conn, `SELECT `+column+` FROM pg_stat_user_tables WHERE relid = 'eventstream.streams'::regclass`)
	}
	waitFor(t, func() bool { return count("n_tup_upd") == streams*rounds }, func() string { return "the updates are not counted" })
	t.Logf("%d of %d updates HOT", count("n_tup_hot_upd"), count("n_tup_upd"))
	// All of them on a server of its own. Base backups of other tests hold pruning back, in every database.
	require.GreaterOrEqual(t, count("n_tup_hot_upd"), int64(streams*rounds*7/10), "HOT updates of %d", streams*rounds)
	require.Less(t, number(t, b.ctx, conn, `SELECT pg_relation_size('eventstream.streams')`), int64(100_000))
}
