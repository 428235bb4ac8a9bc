package integration_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// A stream on a snapshot is the stream, without the events below: at each version, the last one included, behind a hole too, of any tenant
// and partition.
func TestSnapshotLoadsTheSameStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := someEvents(t, 12, eventstream.WithTenant("acme"))
	_, err := b.repo.AppendMany(b.ctx, eventstream.AppendRequest{
		StreamID: "order-1", Expected: eventstream.Empty, Events: events, Partition: &eventstream.PartitionKey{ID: 7, Count: 32},
	})
	require.NoError(t, err)
	requireOnSnapshot(t, b, "order-1", 0, eventstream.SnapshotNone)
	for version := 1; version <= 12; version++ {
		require.True(t, saveSnapshot(t, b, snapshotAt(events, "order-1", version, "state")))
		found := requireOnSnapshot(t, b, "order-1", int64(version), eventstream.SnapshotUsed)
		require.Equal(t, "state", string(found.Snapshot.State))
		require.Equal(t, tallyKind, found.Snapshot.Kind)
		require.Equal(t, events[version-1].ID, found.Snapshot.EventID)
		require.WithinDuration(t, time.Now(), found.Snapshot.CreatedAt, time.Hour)
	}

	ahead := numbered(t, 15, eventstream.WithTenant("acme"))[14]
	_, err = b.repo.Ingest(b.ctx, "order-1", ahead)
	require.NoError(t, err)
	requireOnSnapshot(t, b, "order-1", 12, eventstream.SnapshotUsed)

	_, _, err = b.repo.LoadOnSnapshot(b.ctx, "nobody", tallyKind)
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
	_, err = b.repo.Ingest(b.ctx, "waits", numbered(t, 2)[1])
	require.NoError(t, err)
	stream, found, err := b.repo.LoadOnSnapshot(b.ctx, "waits", tallyKind)
	require.NoError(t, err)
	require.Equal(t, []any{int64(2), int64(0), eventstream.SnapshotNone}, []any{stream.CurrentVersion(), stream.Watermark(), found.Status})
}

// A stream on a snapshot is appended to and saved as any other.
func TestSnapshotStreamIsSaved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 5)
	saveSnapshot(t, b, snapshotAt(events, "order-1", 5, "state"))
	stream, _, err := b.repo.LoadOnSnapshot(b.ctx, "order-1", tallyKind)
	require.NoError(t, err)
	next := anEvent(t, 6)
	_, err = stream.AppendEvent(next)
	require.NoError(t, err)
	result, err := b.repo.Save(b.ctx, stream)
	require.NoError(t, err)
	require.Equal(t, int64(6), result.CurrentVersion)
	requireHolds(t, b, "order-1", append(events, next)...)
}

// The newest wins, whoever comes last; at one version the newer form does, and the same again is no change that anybody sees.
func TestSnapshotNewestWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 10)
	require.True(t, saveSnapshot(t, b, snapshotAt(events, "order-1", 5, "five")))
	require.False(t, saveSnapshot(t, b, snapshotAt(events, "order-1", 4, "four")))
	require.Equal(t, "five", string(requireOnSnapshot(t, b, "order-1", 5, eventstream.SnapshotUsed).Snapshot.State))
	require.True(t, saveSnapshot(t, b, snapshotAt(events, "order-1", 5, "five again")), "what is damaged is replaced like that")
	require.True(t, saveSnapshot(t, b, snapshotAt(events, "order-1", 6, "six")))
	require.Equal(t, "six", string(requireOnSnapshot(t, b, "order-1", 6, eventstream.SnapshotUsed).Snapshot.State))

	newer := snapshotAt(events, "order-1", 6, "of the next release")
	newer.Kind.SchemaVersion = 2
	require.True(t, saveSnapshot(t, b, newer))
	requireOnSnapshot(t, b, "order-1", 0, eventstream.SnapshotOtherSchema)
	require.False(t, saveSnapshot(t, b, snapshotAt(events, "order-1", 6, "of the last release")), "or they would take turns for ever")
	require.True(t, saveSnapshot(t, b, snapshotAt(events, "order-1", 7, "seven")), "a release that was taken back goes on")
	newer.Version, newer.EventID = 5, events[4].ID
	require.False(t, saveSnapshot(t, b, newer), "an older version stays older, whatever its form")
	requireOnSnapshot(t, b, "order-1", 7, eventstream.SnapshotUsed)

	other := snapshotAt(events, "order-1", 2, "another name")
	other.Kind.Name = "other"
	require.True(t, saveSnapshot(t, b, other), "each name is by itself")
	require.EqualValues(t, 2, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.snapshots`))
}

// What no stream says is not saved: the event must be there, at that version.
func TestSnapshotOfWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 3)
	others := given(t, b, "order-2", 3)
	for name, s := range map[string]eventstream.Snapshot{
		"ahead":          {StreamID: "order-1", Kind: tallyKind, Version: 4, EventID: events[2].ID},
		"another event":  {StreamID: "order-1", Kind: tallyKind, Version: 3, EventID: uuid.New()},
		"another stream": {StreamID: "order-1", Kind: tallyKind, Version: 3, EventID: others[2].ID},
		"no stream":      {StreamID: "order-3", Kind: tallyKind, Version: 1, EventID: events[0].ID},
	} {
		_, err := b.repo.SaveSnapshot(b.ctx, s)
		var contradicted *eventstream.SnapshotContradictedError
		require.ErrorAs(t, err, &contradicted, name)
		require.ErrorIs(t, err, eventstream.ErrSnapshotContradicted, name)
		require.Equal(t, s.Version, contradicted.Version)
	}
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.snapshots`))
	saveSnapshot(t, b, snapshotAt(events, "order-1", 2, ""))
	require.Equal(t, []byte{}, requireOnSnapshot(t, b, "order-1", 2, eventstream.SnapshotUsed).Snapshot.State, "an empty state is one")
}

// Go and SQL judge the values of a snapshot alike, and the table refuses what neither lets through.
func TestSnapshotValuesAreJudged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 1)
	good := snapshotAt(events, "order-1", 1, "state")
	var invalid *eventstream.InvalidValueError
	for _, change := range []func(*eventstream.Snapshot){
		func(s *eventstream.Snapshot) { s.StreamID = "" },
		func(s *eventstream.Snapshot) { s.Kind.Name = "" },
		func(s *eventstream.Snapshot) { s.Kind.Name = " tally" },
		func(s *eventstream.Snapshot) { s.Kind.SchemaVersion = 0 },
		func(s *eventstream.Snapshot) { s.Kind.SchemaVersion = 1 << 31 },
		func(s *eventstream.Snapshot) { s.Version = 0 },
		func(s *eventstream.Snapshot) { s.State = make([]byte, eventstream.MaxDataBytes+1) },
	} {
		bad := good
		change(&bad)
		_, err := b.repo.SaveSnapshot(b.ctx, bad)
		require.ErrorAs(t, err, &invalid)
	}
	_, _, err := b.repo.LoadOnSnapshot(b.ctx, "order-1", eventstream.SnapshotKind{})
	require.ErrorAs(t, err, &invalid)
	for _, call := range []string{
		`('order-1', '', 1, $1, 1, '')`, `('order-1', NULL, 1, $1, 1, '')`, `('order-1', 'tally', 1, $1, 0, '')`,
		`('order-1', 'tally', 1, $1, NULL, '')`, `('order-1', 'tally', 1, $1, 1, NULL)`,
		`('order-1', 'tally', 1, $1, 1, convert_to(repeat('x', 128000001), 'UTF8'))`,
	} {
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.save_snapshot`+call, events[0].ID)
		requireSQLState(t, err, "ES008")
	}
	for _, row := range []string{
		`0, 1, 'tally', ''`, `1, 0, 'tally', ''`, `1, 1, '', ''`, `1, 1, 'tally', convert_to(repeat('x', 128000001), 'UTF8')`,
	} {
		_, err := b.pool.Exec(b.ctx, `INSERT INTO eventstream.snapshots (stream_id, event_id, digest, version, schema_version, name, state)
			VALUES ('order-1', $1, '', `+row+`)`, events[0].ID)
		requireSQLState(t, err, "23514")
	}
}

// A large state comes back as it was, and so does one of any bytes.
func TestSnapshotOfTenMegabytes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 3)
	state := bytes.Repeat([]byte{0, 1, 2, 0xff, '\\', '"', 0x80, 7, 9, 11}, 1<<20)
	s := snapshotAt(events, "order-1", 2, "")
	s.State = state
	require.True(t, saveSnapshot(t, b, s))
	require.True(t, bytes.Equal(state, requireOnSnapshot(t, b, "order-1", 2, eventstream.SnapshotUsed).Snapshot.State))
}

// Snapshots work in each of pgx's ways to send a query.
func TestSnapshotInEveryQueryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t, withQueryMode(mode))
			id := eventstream.StreamID(`it's "{,}" \ 1`)
			events := given(t, b, id, 4)
			requireOnSnapshot(t, b, id, 0, eventstream.SnapshotNone)
			require.True(t, saveSnapshot(t, b, snapshotAt(events, id, 2, "\x00\xff\\'\"")))
			found := requireOnSnapshot(t, b, id, 2, eventstream.SnapshotUsed)
			require.Equal(t, "\x00\xff\\'\"", string(found.Snapshot.State))
			require.True(t, saveSnapshot(t, b, snapshotAt(events, id, 4, "")))
			requireOnSnapshot(t, b, id, 4, eventstream.SnapshotUsed)
		})
	}
}

func tracedPool(t testing.TB, b *bundle, tracer pgx.QueryTracer) *pgxpool.Pool {
	t.Helper()
	return newPool(t, b.dsn, func(c *pgxpool.Config) { c.ConnConfig.Tracer = tracer })
}

// Snapshot and tail are one round trip, and a stream that is not there costs what it costs Load.
func TestSnapshotRoundTrips(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 5)
	saveSnapshot(t, b, snapshotAt(events, "order-1", 3, "state"))
	counter := &queryCounter{}
	repo := repoOn(t, tracedPool(t, b, counter))
	queries := func(call func() error) int {
		before := counter.count()
		require.NoError(t, call())
		return counter.count() - before
	}
	require.Equal(t, 1, queries(func() error { _, _, err := repo.LoadOnSnapshot(b.ctx, "order-1", tallyKind); return err }))
	require.Equal(t, 1, queries(func() error {
		_, _, err := repo.LoadOnSnapshot(b.ctx, "order-1", eventstream.SnapshotKind{Name: "other", SchemaVersion: 1})
		return err
	}), "without a snapshot too")
	require.Equal(t, 2, queries(func() error {
		_, _, err := repo.LoadOnSnapshot(b.ctx, "nobody", tallyKind)
		if errors.Is(err, eventstream.ErrStreamNotFound) {
			return nil
		}
		return err
	}))
	require.Equal(t, 1, queries(func() error { _, err := repo.SaveSnapshot(b.ctx, snapshotAt(events, "order-1", 4, "")); return err }))
}

// In a transaction a snapshot is part of it.
func TestSnapshotInATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 2)
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	inTx := b.repo.WithTx(tx)
	more := someEvents(t, 1)
	_, err = inTx.Append(b.ctx, "order-1", eventstream.Exact(2), more...)
	require.NoError(t, err)
	saved, err := inTx.SaveSnapshot(b.ctx, snapshotAt(append(events, more...), "order-1", 3, "not committed"))
	require.NoError(t, err)
	require.True(t, saved)
	_, found, err := inTx.LoadOnSnapshot(b.ctx, "order-1", tallyKind)
	require.NoError(t, err)
	require.Equal(t, int64(3), found.Snapshot.Version)
	requireOnSnapshot(t, b, "order-1", 0, eventstream.SnapshotNone)
	require.NoError(t, tx.Rollback(b.ctx))
	requireOnSnapshot(t, b, "order-1", 0, eventstream.SnapshotNone)
}
