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

// Updates of a head stay within its page, without a new entry in any index (HOT): fillfactor leaves room for them. Few heads are moved, so that
// it does not matter whether dead versions can be pruned yet: base backups of other tests hold that back, in every database.
func TestStorageHeadsAreUpdatedInPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	repo, err := eventstream.NewRepository(conn, nil)
	require.NoError(t, err)
	const streams, moved = 200, 8
	appendTo := func(n int) {
		for i := range n {
			_, err := repo.Append(b.ctx, eventstream.StreamID(fmt.Sprint("head-", i)), eventstream.Any, anEvent(t, i))
			require.NoError(t, err)
		}
	}
	// counted waits until so many updates are counted, and returns how many of them stayed in place.
	counted := func(updates int64) (hot int64) {
		_, err := conn.Exec(b.ctx, `SELECT pg_stat_force_next_flush()`)
		require.NoError(t, err)
		const of = ` FROM pg_stat_user_tables WHERE relid = 'eventstream.streams'::regclass`
		waitFor(t, func() bool { return number(t, b.ctx, conn, `SELECT n_tup_upd`+of) == updates },
			func() string { return fmt.Sprint(updates, " updates are not counted") })
		return number(t, b.ctx, conn, `SELECT n_tup_hot_upd`+of)
	}
	appendTo(streams)
	before := counted(streams)
	appendTo(moved)
	require.Equal(t, int64(moved), counted(streams+moved)-before, "HOT updates")
}
