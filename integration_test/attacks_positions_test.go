package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// forgedKeys are what somebody may say that the transaction's in-flight key is: long ago, now, and in the future.
var forgedKeys = []string{"0 0 1", "5 5 1", "5 7 1", "0 7 1", "7 7 1", "1000000 1000000 1", "-1 -1 1"}

// placed is an INSERT of version 1 of order-9 at a position, with the setting forged in the SELECT list: after the trigger that takes the
// in-flight lock ran, and before the gate looks.
func placed(key string, position int64) string {
	return fmt.Sprintf(`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, position)
		SELECT 'order-9', 1, 9, 't', to_jsonb(set_config('eventstream.in_flight', '%s', true)), %d`, key, position)
}

// forgedBefore is the same with the setting forged in a statement before.
func forgedBefore(key string, position int64) string {
	return fmt.Sprintf(`BEGIN; SELECT set_config('eventstream.in_flight', '%s', true); %s; COMMIT`,
		key, insertSQL(rows(order9(1).at(position))))
}

// A writer with the documented rights has no way to say which position an event gets, or when it was recorded, whatever it forges: it may
// draw numbers, and that is all.
func TestAWriterCannotGiveAPosition(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(t *testing.T) *bundle{
		"UsedSequence": attackStore, "SequenceNeverUsed": func(t *testing.T) *bundle { return setup(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := store(t)
			conn := connect(t, b.dsn, writerRole(t, b))
			before := contents(t, b.pool)
			attacks := []string{
				`SELECT setval('eventstream.events_position_seq', 1)`,
				`ALTER SEQUENCE eventstream.events_position_seq RESTART`,
				`COPY eventstream.events (stream_id, version, partition_id, type, payload, position) FROM STDIN`,
				`COPY eventstream.events FROM STDIN`,
				`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, recorded_at)
					VALUES ('order-9', 1, 9, 't', '{}', now())`,
				`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, position)
					VALUES ('order-9', 1, 9, 't', '{}', nextval('eventstream.events_position_seq'))`,
			}
			for _, key := range forgedKeys {
				for _, position := range []int64{1, 6, 7, 8, 1_000_000} {
					attacks = append(attacks, placed(key, position), forgedBefore(key, position))
				}
			}
			for _, sql := range attacks {
				requireSQLState(t, simpleErr(b.ctx, conn, sql), denied)
				simple(t, conn, `ROLLBACK`)
			}
			require.Equal(t, before, contents(t, b.pool))
			requireAuditClean(t, b)
		})
	}
}

// Who may name the column, as an owner may, is refused where the rule sees it: the position of another event, one above what was
// drawn, one below the key, any on a sequence that was never used.
func TestAPositionByHandIsRefused(t *testing.T) {
	t.Parallel()
	for who, grant := range map[string]func(t *testing.T, b *bundle) string{"Owner": ownerRole, "WideWriter": wideWriterRole} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			conn := connect(t, b.dsn, grant(t, b))
			for _, position := range []int64{-1, 0, 6, 7, 8, 1_000_000} {
				requireSQLState(t, simpleErr(b.ctx, conn, insertSQL(rows(order9(1).at(position)))), "ES006")
			}
			// A key from the future, and one that the transaction drew above, give nothing either.
			for _, key := range []string{"7 7 1", "1000000 1000000 1"} {
				for _, position := range []int64{6, 7, 8, 1_000_000} {
					requireSQLState(t, simpleErr(b.ctx, conn, forgedBefore(key, position)), "ES006")
					simple(t, conn, `ROLLBACK`)
					requireSQLState(t, simpleErr(b.ctx, conn, placed(key, position)), "ES006")
				}
			}
			requireSQLState(t, simpleErr(b.ctx, conn, placed("0 0 1", 2)), "23505")
			requireSQLState(t, simpleErr(b.ctx, conn, placed("0 0 1", 8)), "ES006")
			requireAuditClean(t, b)

			// A hole in its own numbers is the transaction's to fill: nobody can have passed it.
			simple(t, conn, `BEGIN`, values(4), `SELECT nextval('eventstream.events_position_seq')`, values(5), insertSQL(rows(order9(1).at(9))), `COMMIT`)
			requireAuditClean(t, b)
		})
		t.Run(who+"/SequenceNeverUsed", func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			conn := connect(t, b.dsn, grant(t, b))
			for _, key := range forgedKeys {
				for _, position := range []int64{-1, 0, 1, 2, 1_000_000} {
					requireSQLState(t, simpleErr(b.ctx, conn, placed(key, position)), "ES006")
				}
			}
			requireSQLState(t, simpleErr(b.ctx, conn, insertSQL(rows(order9(1).at(1)))), "ES006")
			require.Zero(t, drawn(t, b))
			simple(t, conn, insertSQL(rows(order9(1))))
			require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT position FROM eventstream.events`))
			requireAuditClean(t, b)
		})
	}
}

// What an owner can still do, as docs/design.md says: forge the key of an earlier time, and fill a position that was burnt. Who has passed
// it never reads the event; the audit reports it once the position was numbered.
func TestAnOwnersForgedKeyIsReportedByTheAudit(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	conn := connect(t, b.dsn, ownerRole(t, b))
	simple(t, conn, values(4), `SELECT eventstream.advance_stable_position()`)
	requireAuditClean(t, b)

	simple(t, conn, placed("0 0 1", 6))
	require.Equal(t, []string{"sequences: sequence numbers and events differ in number"}, auditProblems(t, b.pool))
}
