package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// behindWrite is a way to write one event of a new stream; events of streams that exist are written with the same code.
type behindWrite struct {
	name string
	do   func(ctx context.Context, t *testing.T, conn *pgx.Conn, id eventstream.StreamID) error
	// raw writers meet the key on position, before the gate, when the position that they drew is taken.
	raw bool
}

var behindWrites = []behindWrite{
	{"append", func(ctx context.Context, t *testing.T, conn *pgx.Conn, id eventstream.StreamID) error {
		_, err := repoOn(t, conn).Append(ctx, id, eventstream.Any, anEvent(t, 1))
		return err
	}, false},
	{"append of several events", func(ctx context.Context, t *testing.T, conn *pgx.Conn, id eventstream.StreamID) error {
		_, err := repoOn(t, conn).Append(ctx, id, eventstream.Any, someEvents(t, 3)...)
		return err
	}, false},
	{"append in SQL", func(ctx context.Context, _ *testing.T, conn *pgx.Conn, id eventstream.StreamID) error {
		_, err := conn.Exec(ctx, `SELECT eventstream.append($1, 't')`, id)
		return err
	}, false},
	{"ingest", func(ctx context.Context, t *testing.T, conn *pgx.Conn, id eventstream.StreamID) error {
		_, err := repoOn(t, conn).Ingest(ctx, id, numbered(t, 2)...)
		return err
	}, false},
	{"INSERT", func(ctx context.Context, _ *testing.T, conn *pgx.Conn, id eventstream.StreamID) error {
		_, err := conn.Exec(ctx, rawInsert, id, 1)
		return err
	}, true},
	{"COPY", func(ctx context.Context, _ *testing.T, conn *pgx.Conn, id eventstream.StreamID) error {
		_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(fmt.Sprintf("%s\t1\t3\tt\t{}\n", id)),
			`COPY eventstream.events (stream_id, version, partition_id, type, payload) FROM STDIN`)
		return err
	}, true},
	{"Import", func(ctx context.Context, t *testing.T, conn *pgx.Conn, id eventstream.StreamID) error {
		_, err := repoOn(t, conn).Import(ctx, sourceOf(of(id, someEvents(t, 2)...)...))
		return err
	}, true},
}

// A sequence behind the events, as after copying the tables or logical replication, would give positions that every reader has passed. Nobody
// writes then: whether the position that it gives is free or taken. Who tries is told what to do, and not to try again.
func TestSequenceBehindTheEventsIsRefused(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for _, w := range behindWrites {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t) // positions 1 to 5, and a hole at 6 and 7
			given(t, b, "order-4", 20)
			for at, free := range map[int]bool{5: true, 2: false} {
				execSQL(t, b.ctx, b.pool, `SELECT setval('eventstream.events_position_seq', $1)`, at)
				before := eventsIn(t, b)
				err := w.do(b.ctx, t, session(t, b), "new-1")
				if w.raw && !free {
					require.Equal(t, "events_position_key", requireSQLState(t, err, "23505").ConstraintName)
				} else {
					refusal := requireSQLState(t, err, "ES009")
					require.Contains(t, refusal.Message, "there is an event at position 27")
					require.Contains(t, refusal.Hint, "setval('eventstream.events_position_seq', 27)")
				}
				require.False(t, eventstream.SafeToRetry(err))
				if !strings.Contains("INSERT COPY append in SQL", w.name) {
					require.ErrorIs(t, err, eventstream.ErrStoreMismatch)
					require.ErrorContains(t, err, map[bool]string{true: "setval", false: "audit_order"}[free || !w.raw])
				}
				require.Equal(t, before, eventsIn(t, b), "nothing is written")
				require.Contains(t, auditProblems(t, session(t, b)), "order order-4: position was never drawn")
			}
			execSQL(t, b.ctx, b.pool, `SELECT setval('eventstream.events_position_seq', 27)`) // as the hint says
			for _, w := range behindWrites {
				require.NoError(t, w.do(b.ctx, t, session(t, b), eventstream.StreamID("after-"+strings.ReplaceAll(w.name, " ", "-"))), w.name)
			}
			requireAuditClean(t, b)
		})
	}
}

// Neither does what waits enter, nor a stream that exists grow.
func TestSequenceBehindTheEventsHoldsBackWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 4)
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[2], events[3])
	require.NoError(t, err)
	given(t, b, "order-1", 5)
	execSQL(t, b.ctx, b.pool, `SELECT setval('eventstream.events_position_seq', 1)`)
	_, err = b.repo.Ingest(b.ctx, "edge-1", events[1])
	requireSQLState(t, err, "ES009")
	require.Equal(t, int64(2), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.pending_events`))
	execSQL(t, b.ctx, b.pool, `SELECT setval('eventstream.events_position_seq', 6)`)
	got, err := b.repo.Ingest(b.ctx, "edge-1", events[1])
	require.NoError(t, err)
	require.Equal(t, ingested{Appended: 3, Watermark: 4, CurrentVersion: 4}, got)
	requireAuditClean(t, b)
}
