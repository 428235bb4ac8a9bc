package integration_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What an event says comes out as it went in: several chunks, streams that alternate, with and without versions.
func TestImportKeepsWhatTheSourceSays(t *testing.T) {
	t.Parallel()
	for _, numbered := range []bool{false, true} {
		t.Run(fmt.Sprintf("Numbered=%t", numbered), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			h := history{events: 2*eventstream.MaxImportEvents + 500, perStream: 25, numbered: numbered}
			result, err := b.repo.Import(b.ctx, h.all())
			require.NoError(t, err)
			require.Equal(t, eventstream.ImportResult{Imported: int64(h.events), LastPosition: lastPosition(t, b)}, result)
			requireHistory(t, b, h)

			unchanged := untouched(t, b)
			result, err = b.repo.Import(b.ctx, h.all())
			require.NoError(t, err)
			require.Equal(t, eventstream.ImportResult{Skipped: int64(h.events)}, result)
			unchanged()
		})
	}
}

// The last position is that of the last event that the call wrote, though what it skips comes after.
func TestImportSaysWhereItWroteLast(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := history{events: eventstream.MaxImportEvents + 400, perStream: 40}
	later := readSome(t, h, h.events)[eventstream.MaxImportEvents:]
	_, err := b.repo.Import(b.ctx, sourceOf(later...))
	require.NoError(t, err)
	result, err := b.repo.Import(b.ctx, h.all())
	require.NoError(t, err)
	require.Equal(t, eventstream.ImportResult{
		Imported: eventstream.MaxImportEvents, Skipped: 400, LastPosition: lastPosition(t, b),
	}, result)
}

// Every kind of value, read back by the repository: what an Append of it would have given.
func TestImportStoresValuesAsAppendDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := number(t, b.ctx, b.pool, `SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint`)
	payload, metadata := `{"a": [1, "é", null, "x\ty"]}`, map[string]any{"trace": "é"}
	far := func(year int) eventstream.EventOption {
		return eventstream.WithOccurredAt(time.Date(year, 1, 1, 0, 0, 0, 1999, time.FixedZone("", 3600)))
	}
	events := []eventstream.Event{
		anEvent(t, 1), anEvent(t, 2, eventstream.WithMetadata(metadata)),
		anEvent(t, 3, eventstream.WithData([]byte{0, 1, 0xff})), anEvent(t, 4, eventstream.WithData(nil)),
		anEvent(t, 5, far(1969)), anEvent(t, 6, far(2)), anEvent(t, 7, far(9999)), anEvent(t, 8), anEvent(t, 9),
	}
	events[7].Payload = []byte(payload)
	events[8].Payload, events[8].Data = nil, []byte("data alone")
	events[4].OccurredAt = time.Date(1969, 7, 20, 20, 17, 40, 123_456_789, time.FixedZone("", -5*3600))

	_, err := b.repo.Import(b.ctx, sourceOf(of("imported-1", events...)...))
	require.NoError(t, err)
	imported := readAll(t, b.repo.Read(b.ctx, "imported-1", eventstream.ReadOptions{}))
	again := make([]eventstream.Event, len(events))
	for i, e := range events {
		again[i] = e.Clone()
		again[i].ID, again[i].StreamID = anEvent(t, 0).ID, ""
	}
	_, err = b.repo.Append(b.ctx, "appended-1", eventstream.Empty, again...)
	require.NoError(t, err)
	appended := readAll(t, b.repo.Read(b.ctx, "appended-1", eventstream.ReadOptions{}))

	require.Equal(t, idsOf(events), idsOf(imported))
	for i, got := range imported {
		want := appended[i]
		require.GreaterOrEqual(t, got.RecordedAt.UnixMicro(), before, "RecordedAt is the database's clock")
		want.ID, want.StreamID, want.PartitionID = got.ID, got.StreamID, got.PartitionID
		want.Position, want.RecordedAt = got.Position, got.RecordedAt
		require.Equal(t, want, got)
	}
	requireAuditClean(t, b)
}

// What belongs to the database is not taken from the source.
func TestImportGivesPositionPartitionAndRecordedAt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := of("order-1", anEvent(t, 1))[0]
	e.Position, e.PartitionID, e.RecordedAt = 77, 31, aYearAgo
	_, err := b.repo.Import(b.ctx, sourceOf(e))
	require.NoError(t, err)
	got := readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}))[0]
	partition, err := eventstream.PartitionOf("order-1", eventstream.DefaultPartitionCount)
	require.NoError(t, err)
	require.Equal(t, []int64{1, int64(partition.ID)}, []int64{got.Position, int64(got.PartitionID)})
	require.True(t, got.RecordedAt.After(aYearAgo))
	requireAuditClean(t, b)
}

// A stream stays with its tenant and in its partition, whatever new streams get.
func TestImportFollowsTheStreamsTenantAndPartition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	elsewhere, err := eventstream.PartitionOf("placed-1", eventstream.DefaultPartitionCount)
	require.NoError(t, err)
	elsewhere.ID = (elsewhere.ID + 1) % elsewhere.Count
	_, err = b.repo.AppendMany(b.ctx, eventstream.AppendRequest{
		StreamID: "placed-1", Expected: eventstream.Empty, Partition: &elsewhere,
		Events: []eventstream.Event{anEvent(t, 1, eventstream.WithTenant("acme"))},
	})
	require.NoError(t, err)
	source := append(of("placed-1", anEvent(t, 2), anEvent(t, 3, eventstream.WithTenant("acme"))),
		append(of("new-1", anEvent(t, 1, eventstream.WithTenant("globex")), anEvent(t, 2)), of("new-2", anEvent(t, 1))...)...)
	_, err = b.repo.Import(b.ctx, sourceOf(source...))
	require.NoError(t, err)
	for id, tenant := range map[eventstream.StreamID]eventstream.TenantID{
		"placed-1": "acme", "new-1": "globex", "new-2": eventstream.DefaultTenant,
	} {
		for _, e := range readAll(t, b.repo.Read(b.ctx, id, eventstream.ReadOptions{})) {
			require.Equal(t, tenant, e.TenantID)
			if id == "placed-1" {
				require.Equal(t, elsewhere.ID, e.PartitionID)
			}
		}
	}
	requireAuditClean(t, b)
}

// The modes may be mixed: each event is judged by what its stream holds when its turn comes.
func TestImportJudgesEachEventByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	have := given(t, b, "order-1", 2)
	fresh := someEvents(t, 3)
	source := of("order-1", append(have, fresh...)...)
	source[1].Version, source[3].Version = 2, 4
	source = append(source, source[4], source[3])
	result, err := b.repo.Import(b.ctx, sourceOf(source...))
	require.NoError(t, err)
	require.Equal(t, eventstream.ImportResult{Imported: 3, Skipped: 4, LastPosition: lastPosition(t, b)}, result)
	requireHolds(t, b, "order-1", source[:5]...)
	requireAuditClean(t, b)
}

// Where Import cannot keep its promises it says so before it reads an event.
func TestImportRefusesWhereItCannotCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	refused := func(h eventstream.Handle, config *eventstream.Config, field string) {
		t.Helper()
		repo, err := eventstream.NewRepository(h, config)
		require.NoError(t, err)
		_, err = repo.Import(b.ctx, history{events: 1, perStream: 1, before: func(int) error {
			t.Error("the source was read")
			return nil
		}}.all())
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	inline := func(context.Context, pgx.Tx, []eventstream.Event) error { return nil }
	refused(b.pool, &eventstream.Config{Inline: []eventstream.InlineProjection{inline}}, "Config.Inline")
	inTx(t, b, func(tx pgx.Tx) { refused(tx, nil, "handle") })
	tx, err := conn.Begin(b.ctx)
	require.NoError(t, err)
	refused(conn, nil, "handle")
	require.NoError(t, tx.Rollback(b.ctx))
	_, err = b.repo.Import(b.ctx, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)

	h := history{events: 30, perStream: 3}
	_, err = repoOn(t, conn).Import(b.ctx, h.all())
	require.NoError(t, err, "a connection outside a transaction will do")
	requireHistory(t, b, h)
	result, err := b.repo.Import(b.ctx, sourceOf())
	require.NoError(t, err)
	require.Zero(t, result)
}

// A role needs no right that lets it change history, nor one to say what the database says: position and recorded_at.
func TestImportNeedsTheRightsThatTheDocsName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `ALTER ROLE `+role+` BYPASSRLS`) // COPY is not for whom row security may hold
	h := history{events: 30, perStream: 3}
	conn := connect(t, b.dsn, role)
	for _, grant := range []string{
		`USAGE ON SCHEMA eventstream`, `SELECT ON ALL TABLES IN SCHEMA eventstream`,
		`INSERT (stream_id, version, event_id, occurred_at, partition_id, tenant_id, type, payload, data, metadata) ON eventstream.events`,
		`USAGE ON SEQUENCE eventstream.events_position_seq`,
	} {
		_, err := repoOn(t, conn).Import(b.ctx, h.all())
		requireSQLState(t, err, "42501")
		_, err = b.pool.Exec(b.ctx, `GRANT `+grant+` TO `+role)
		require.NoError(t, err)
	}
	_, err := repoOn(t, conn).Import(b.ctx, h.all())
	require.NoError(t, err)
	requireHistory(t, b, h)
	for _, sql := range []string{
		`UPDATE eventstream.events SET payload = '{}'`, `DELETE FROM eventstream.events`,
		`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, recorded_at) VALUES ('a', 1, 0, 't', '1', now())`,
		`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, position) VALUES ('a', 1, 0, 't', '1', 99)`,
	} {
		_, err = conn.Exec(b.ctx, sql)
		requireSQLState(t, err, "42501")
	}
}

// The copy is of a format of its own, and the look-ups prepare nothing that a query mode cannot send.
func TestImportInEveryQueryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t, withQueryMode(mode))
			h := history{events: 60, perStream: 3}
			_, err := b.repo.Import(b.ctx, sourceOf(readSome(t, h, 40)...))
			require.NoError(t, err)
			_, err = b.repo.Import(b.ctx, h.all())
			require.NoError(t, err)
			requireHistory(t, b, h)
		})
	}
}

// readSome is the first events of a history.
func readSome(t testing.TB, h history, count int) []eventstream.Event {
	t.Helper()
	require.LessOrEqual(t, count, h.events)
	events := make([]eventstream.Event, count)
	for n := range events {
		events[n] = h.event(n)
	}
	return events
}
