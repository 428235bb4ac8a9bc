package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// lie is a way for a snapshot of order-1 at version 10, the last one, to be wrong.
type lie struct {
	name, sql string
	status    eventstream.SnapshotStatus
	// problem is what audit_snapshots says, and watermark where the stream is then.
	problem   string
	watermark int
}

// withoutTriggers turns the rules off, as a restore that lost something would.
func withoutTriggers(sql string) string {
	return `SET LOCAL session_replication_role = replica; ` + sql + `; SET LOCAL session_replication_role = origin`
}

var lies = []lie{
	{
		"the end of the stream is lost", withoutTriggers(`DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version > 7`),
		eventstream.SnapshotContradicted, "ahead of its stream", 7,
	},
	{
		"the end is lost, and other events came", withoutTriggers(`DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version > 7`) +
			`; SELECT eventstream.append('order-1', 'order.placed', '{"n": 0}') FROM generate_series(1, 5)`,
		eventstream.SnapshotContradicted, "of another history", 12,
	},
	{
		"of another stream", `DELETE FROM eventstream.snapshots WHERE stream_id = 'order-1';
			UPDATE eventstream.snapshots SET stream_id = 'order-1' WHERE stream_id = 'order-2'`,
		eventstream.SnapshotContradicted, "of another history", 10,
	},
	{
		"a lower version by hand", `UPDATE eventstream.snapshots SET version = 3 WHERE stream_id = 'order-1'`,
		eventstream.SnapshotContradicted, "of another history", 10,
	},
	{
		"a higher version by hand", `UPDATE eventstream.snapshots SET version = 11 WHERE stream_id = 'order-1'`,
		eventstream.SnapshotContradicted, "ahead of its stream", 10,
	},
	{
		"another state", `UPDATE eventstream.snapshots SET state = '{"Events":1}' WHERE stream_id = 'order-1'`,
		eventstream.SnapshotDamaged, "its state is damaged", 10,
	},
	{
		"a bit of its state", `UPDATE eventstream.snapshots SET state = set_bit(state, 9, 1 - get_bit(state, 9)) WHERE stream_id = 'order-1'`,
		eventstream.SnapshotDamaged, "its state is damaged", 10,
	},
	{
		"its digest", `UPDATE eventstream.snapshots SET digest = '' WHERE stream_id = 'order-1'`,
		eventstream.SnapshotDamaged, "its state is damaged", 10,
	},
}

// A snapshot that contradicts the events, or is not what was saved, is not used: the stream is whole, the audit's view says so, and the next
// snapshot takes its place, whatever version it claims.
func TestSnapshotThatLiesIsIgnoredAndReplaced(t *testing.T) {
	t.Parallel()
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for _, id := range []eventstream.StreamID{"order-2", "order-1"} {
				saveSnapshot(t, b, snapshotAt(given(t, b, id, 10), id, 10, `{"Events":10}`))
			}
			requireOnSnapshot(t, b, "order-1", 10, eventstream.SnapshotUsed)
			require.Empty(t, texts(t, b, `SELECT problem FROM eventstream.audit_snapshots`))
			execSQL(t, b.ctx, b.pool, lie.sql)

			requireOnSnapshot(t, b, "order-1", 0, lie.status)
			require.Equal(t, []string{lie.problem}, texts(t, b, `SELECT problem FROM eventstream.audit_snapshots WHERE stream_id = 'order-1'`))
			stream, err := b.repo.Load(b.ctx, "order-1")
			require.NoError(t, err)
			at := stream.EventsFrom(int64(lie.watermark))[0]
			require.True(t, saveSnapshot(t, b, eventstream.Snapshot{
				StreamID: "order-1", Kind: tallyKind, Version: at.Version, EventID: at.ID, State: []byte(`{}`),
			}))
			requireOnSnapshot(t, b, "order-1", int64(lie.watermark), eventstream.SnapshotUsed)
			require.Empty(t, texts(t, b, `SELECT problem FROM eventstream.audit_snapshots WHERE stream_id = 'order-1'`))
		})
	}
}

// What is wrong with the events below a snapshot shows as it does without one: there is no stream without its first event.
func TestSnapshotOfAStreamThatLostItsBeginning(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []eventstream.StreamID{"order-1", "order-2"} {
		saveSnapshot(t, b, snapshotAt(given(t, b, id, 10), id, 8, `{}`))
	}
	execSQL(t, b.ctx, b.pool, withoutTriggers(`DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 1;
		DELETE FROM eventstream.events WHERE stream_id = 'order-2'`))
	_, _, err := b.repo.LoadOnSnapshot(b.ctx, "order-1", tallyKind)
	require.ErrorIs(t, err, eventstream.ErrReconstruct)
	_, _, err = b.repo.LoadOnSnapshot(b.ctx, "order-2", tallyKind)
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
	require.Equal(t, []string{"its stream does not exist"}, texts(t, b, `SELECT problem FROM eventstream.audit_snapshots WHERE stream_id = 'order-2'`))
}

// A hole in the tail shows too.
func TestSnapshotOfAStreamWithAHole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	saveSnapshot(t, b, snapshotAt(given(t, b, "order-1", 10), "order-1", 5, `{}`))
	execSQL(t, b.ctx, b.pool, withoutTriggers(`DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 6`))
	_, _, err := b.repo.LoadOnSnapshot(b.ctx, "order-1", tallyKind)
	require.ErrorIs(t, err, eventstream.ErrReconstruct)
}
