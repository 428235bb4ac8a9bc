package integration_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// recordedAhead puts events into streams as a database did whose clock was an hour ahead, and was then set back.
func recordedAhead(t *testing.T, b *bundle, ids ...eventstream.StreamID) {
	t.Helper()
	for _, id := range ids {
		given(t, b, id, 1)
	}
	conn := session(t, b)
	simple(t, conn, `SET session_replication_role = replica`,
		`UPDATE eventstream.events SET recorded_at = recorded_at + interval '1 hour'`, `SET session_replication_role = origin`)
	for _, id := range ids {
		_, err := b.repo.Append(b.ctx, id, eventstream.Exact(1), someEvents(t, 2)...)
		require.NoError(t, err)
	}
}

// A stream that was created while the clock was ahead is a stream like any other.
func TestClockSetBackLeavesStreamsReadable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	recordedAhead(t, b, "order-1")
	stream, err := b.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.True(t, stream.UpdatedAt().Before(stream.CreatedAt()), "as the clock said")

	raw, err := json.Marshal(stream)
	require.NoError(t, err)
	back := &eventstream.EventStream{}
	require.NoError(t, json.Unmarshal(raw, back))
	require.Equal(t, int64(3), back.CurrentVersion())

	_, err = stream.AppendEvent(anEvent(t, 4))
	require.NoError(t, err)
	_, err = b.repo.Save(b.ctx, stream)
	require.NoError(t, err)
	require.Len(t, readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{})), 4)
	head, err := b.repo.Stream(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, int64(4), head.CurrentVersion)
	require.Equal(t, []string{"warning clocks order-1: the clock went back by more than a minute"}, auditProblems(t, b.pool))
}

// What a statement wrote before the clock was set is no less honest: the gate cannot ask for the second.
func TestClockSetWithinAStatementRefusesNoInsert(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	for version, at := range []string{
		`clock_timestamp() + interval '5 milliseconds'`, // set back by that much since
		`clock_timestamp() + interval '30 seconds'`,
		`statement_timestamp() - interval '30 seconds'`, // set back, and the beginning passed once more
		`clock_timestamp()`,
	} {
		_, err := conn.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, recorded_at)
			VALUES ('order-1', $1, 0, 't', '{}', `+at+`)`, version+1)
		require.NoError(t, err, at)
	}
}

// A start at the time of an event is one of the past, though the clock says otherwise by now.
func TestClockSetBackLeavesStartsByTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	recordedAhead(t, b, "order-1", "order-2")
	head, err := b.repo.LogHead(b.ctx)
	require.NoError(t, err)
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.advance_stable_position()`)
	require.NoError(t, err)
	first, err := b.repo.Stream(b.ctx, "order-2")
	require.NoError(t, err)
	events := readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.FromTime(first.CreatedAt)}))
	require.Equal(t, int64(2), events[0].Position, "the first one that was recorded then or later")
	require.Equal(t, head.Position, events[len(events)-1].Position)
	for _, err := range b.repo.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.FromTime(first.CreatedAt.Add(time.Hour))}) {
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
}

// Which event came first is nothing that a clock says: two tenants never wait in one stream.
func TestClockSetBackLetsNoOtherTenantWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	const waits = `INSERT INTO eventstream.pending_events
			(stream_id, version, event_id, occurred_at, received_at, partition_id, tenant_id, type, payload)
		VALUES ('order-1', `
	simple(t, conn, waits+`5, gen_random_uuid(), now(), now(), 0, 'acme', 't', '{}')`)
	requireSQLState(t, simpleErr(b.ctx, conn, waits+`6, gen_random_uuid(), now(), now() - interval '1 hour', 0, 'other', 't', '{}')`), "ES003")
	requireSQLState(t, simpleErr(b.ctx, conn, waits+`6, gen_random_uuid(), now(), now() - interval '1 hour', 1, 'acme', 't', '{}')`), "ES007")
	requireSQLState(t, simpleErr(b.ctx, conn, waits+`4, gen_random_uuid(), now(), now() + interval '1 hour', 1, 'acme', 't', '{}')`), "ES007")
	simple(t, conn, waits+`6, gen_random_uuid(), now(), now() - interval '1 hour', 0, 'acme', 't', '{}')`)
}

// The record that counts is the one that was made last, not the one with the latest time.
func TestClockSetBackLeavesTheRecordOfTheSchema(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	simple(t, conn, `INSERT INTO eventstream.schema_record (recorded_at, kind, name, digest)
		SELECT now() + interval '1 hour', kind, name, '\x00' FROM eventstream.schema_objects WHERE name = 'eventstream.events_gate()'`)
	require.Equal(t, int64(1), number(t, b.ctx, conn, `SELECT count(*) FROM eventstream.audit_triggers`))
	require.Equal(t, int64(1), number(t, b.ctx, conn, `SELECT eventstream.record_schema()`))
	require.Zero(t, number(t, b.ctx, conn, `SELECT eventstream.record_schema()`))
	requireAuditClean(t, b)
}

// A process hangs, and the clock is set back: its lease must not last for that much longer. One that lives reports again.
func TestClockSetBackEndsTheLeaseOfAProcessThatHangs(t *testing.T) {
	t.Parallel()
	b := withReader(t, 2)
	hangs, lives := joinBySQL(t, b, 1), joinBySQL(t, b, 2)
	require.Equal(t, "0@1 1@1", hangs.claim(t, b))
	setBack := func(by string) {
		t.Helper()
		execSQL(t, b.ctx, b.pool, `UPDATE eventstream.subscription_members
			SET reported_at = reported_at + $1::interval, lease_until = lease_until + $1::interval WHERE member_id = 1`, by)
	}
	setBack("1 second")
	require.Empty(t, lives.claim(t, b), "a second is within its lease")
	require.Equal(t, "0@1 1@1", hangs.claim(t, b))
	setBack("1 hour")
	require.Equal(t, "0@2 1@2", lives.claim(t, b))
	require.Empty(t, hangs.claim(t, b), "it reports, and waits for its share")
}
