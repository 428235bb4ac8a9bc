package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// advance_stable_position keeps the stable position in log_state: forward only, at no cost when nothing changed, and nobody waits for it.

const (
	advance     = `SELECT eventstream.advance_stable_position()`
	keptPlace   = `SELECT stable_position FROM eventstream.log_state`
	keptVersion = `SELECT (xmin::text || ctid::text || stable_position || ' ' || last_sequence || ' ' || updated_at) FROM eventstream.log_state`
)

func text(t testing.TB, b *bundle, q querier, sql string, args ...any) (s string) {
	t.Helper()
	require.NoError(t, q.QueryRow(b.ctx, sql, args...).Scan(&s))
	return s
}

// What is kept, and the marks that number events, never move back and are never removed, whoever tries.
func TestStableWhatIsKeptOnlyMovesForward(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The marks of partitions come once a thousand events have none.
	given(t, b, "order-1", 1500)
	require.EqualValues(t, 1500, number(t, b.ctx, b.pool, advance))
	const all = `SELECT jsonb_build_object('state', (SELECT jsonb_agg(to_jsonb(l)) FROM eventstream.log_state AS l),
		'marks', (SELECT jsonb_agg(to_jsonb(m)) FROM eventstream.log_marks AS m),
		'partitions', (SELECT jsonb_agg(to_jsonb(m)) FROM eventstream.partition_marks AS m))::text`
	before := text(t, b, b.pool, all)
	for _, sql := range []string{
		`UPDATE eventstream.log_state SET stable_position = stable_position - 1`,
		`UPDATE eventstream.log_state SET stable_position = 0`,
		`UPDATE eventstream.log_state SET stable_position = NULL`,
		`UPDATE eventstream.log_state SET last_position = last_position - 1`,
		`UPDATE eventstream.log_state SET last_sequence = last_sequence - 1`,
		`UPDATE eventstream.log_state SET marked_position = marked_position - 1`,
		`UPDATE eventstream.log_state SET marked_sequence = marked_sequence - 1`,
		`UPDATE eventstream.log_state SET last_recorded_at = '-infinity'`,
		`UPDATE eventstream.log_state SET lane = 1`,
		`DELETE FROM eventstream.log_state`,
		`TRUNCATE eventstream.log_state`,
		`UPDATE eventstream.log_marks SET sequence = sequence + 1`,
		`UPDATE eventstream.log_marks SET recorded_at = now()`,
		`DELETE FROM eventstream.log_marks`,
		`DELETE FROM eventstream.log_marks WHERE false`,
		`TRUNCATE eventstream.log_marks`,
		`UPDATE eventstream.partition_marks SET sequence = sequence + 1`,
		`UPDATE eventstream.partition_marks SET removed = true, position = position + 1`,
		`UPDATE eventstream.partition_marks SET partition_id = 7`,
		`UPDATE eventstream.partition_marks SET removed = false`,
		`DELETE FROM eventstream.partition_marks`,
		`TRUNCATE eventstream.partition_marks`,
		`TRUNCATE eventstream.log_state, eventstream.log_marks, eventstream.partition_marks`,
	} {
		_, err := b.pool.Exec(b.ctx, sql)
		requireSQLState(t, err, "ES004")
		require.Equal(t, before, text(t, b, b.pool, all), sql)
	}
	requireAuditClean(t, b)
}

// Nothing changed: nothing is written, no transaction id is taken, and no event is looked at.
func TestStableAdvanceIsFreeWhenNothingChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	require.EqualValues(t, 10, number(t, b.ctx, b.pool, advance))
	version := text(t, b, b.pool, keptVersion)
	conn := session(t, b)
	for range 10 {
		inTx(t, b, func(tx pgx.Tx) {
			require.EqualValues(t, 10, number(t, b.ctx, tx, advance))
			require.Zero(t, number(t, b.ctx, tx, `SELECT coalesce(pg_current_xact_id_if_assigned()::text::bigint, 0)`))
		})
		touched := measure(t, conn, advance)
		require.NotContains(t, touched, "eventstream.events")
		require.Equal(t, footprint{
			seqScans: touched["eventstream.log_state"].seqScans, idxScans: 1, idxTuples: 1,
			blocks: touched["eventstream.log_state"].blocks,
		}, touched["eventstream.log_state"])
	}
	require.Equal(t, version, text(t, b, b.pool, keptVersion))

	// A rolled back event moves the position, by as much as was drawn, and nothing else.
	a := newActor(t, b)
	execSQL(t, b.ctx, a.tx, rawInsert, "gone-1", 1)
	a.end(t, b, false)
	require.EqualValues(t, 11, number(t, b.ctx, b.pool, advance))
	require.EqualValues(t, 10, number(t, b.ctx, b.pool, `SELECT last_sequence FROM eventstream.log_state WHERE last_position = 10`))
}

// One session keeps the position and has not committed: nobody waits for it, all others get the live position and write nothing.
func TestStableAdvanceNobodyWaits(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	given(t, b, "order-1", 10)
	first := newActor(t, b)
	require.EqualValues(t, 10, number(t, b.ctx, first.tx, advance))
	given(t, b, "order-2", 5)
	group, ctx := errgroup.WithContext(b.ctx)
	for range 8 {
		group.Go(func() error {
			return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
				var stable int64
				var written bool
				err := tx.QueryRow(ctx, advance).Scan(&stable)
				if err == nil {
					err = tx.QueryRow(ctx, `SELECT pg_current_xact_id_if_assigned() IS NOT NULL`).Scan(&written)
				}
				if err == nil && (stable != 15 || written) {
					err = fmt.Errorf("stable position %d, written: %t", stable, written)
				}
				return err
			})
		})
	}
	// A waiter would wait for ever: the first session ends after all others.
	require.NoError(t, group.Wait())
	require.Zero(t, number(t, b.ctx, b.pool, keptPlace))
	first.end(t, b, true)
	require.EqualValues(t, 10, number(t, b.ctx, b.pool, keptPlace))
	require.EqualValues(t, 15, number(t, b.ctx, b.pool, advance))
	require.EqualValues(t, 15, number(t, b.ctx, b.pool, keptPlace))

	// A session that read the state before another one moved it on, and comes to write after that, writes what is new.
	given(t, b, "order-3", 5)
	second := newActor(t, b)
	require.EqualValues(t, 20, number(t, b.ctx, second.tx, advance))
	second.end(t, b, false)
	require.EqualValues(t, 15, number(t, b.ctx, b.pool, keptPlace), "what is rolled back is not kept")
	require.EqualValues(t, 20, number(t, b.ctx, b.pool, advance))
	require.EqualValues(t, 20, number(t, b.ctx, b.pool, `SELECT last_sequence FROM eventstream.log_state`))
	requireAuditClean(t, b)
}

// Many callers at once, while events come: the log is numbered as by one.
func TestStableAdvanceByManyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	group, ctx := errgroup.WithContext(b.ctx)
	for writer := range 4 {
		group.Go(func() error {
			for n := range 50 {
				id := eventstream.StreamID(fmt.Sprintf("order-%d-%d", writer, n))
				err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
					if _, err := b.repo.WithTx(tx).Append(ctx, id, eventstream.Empty, someEvents(t, 1+n%12)...); err != nil || n%4 != 0 {
						return err
					}
					return tx.Rollback(ctx)
				})
				if err != nil && n%4 != 0 {
					return err
				}
			}
			return nil
		})
		group.Go(func() error {
			for range 200 {
				var stable int64
				if err := b.pool.QueryRow(ctx, advance).Scan(&stable); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	execSQL(t, b.ctx, b.pool, advance)
	requireNumbered(t, b)
	requireAuditClean(t, b)
}

// With a least age, a position that was kept a moment ago stays; a clock that was set back does not stop it from moving.
func TestStableAdvanceWithALeastAge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 1)
	const lazily = `SELECT eventstream.advance_stable_position('1 hour')`
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, lazily))
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, keptPlace), "nothing was kept before")
	given(t, b, "order-2", 1)
	require.EqualValues(t, 2, number(t, b.ctx, b.pool, lazily), "the live position all the same")
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, keptPlace))
	require.EqualValues(t, 2, number(t, b.ctx, b.pool, advance))
	require.EqualValues(t, 2, number(t, b.ctx, b.pool, keptPlace))

	given(t, b, "order-3", 1)
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.log_state SET updated_at = now() - interval '2 hours'`)
	require.EqualValues(t, 3, number(t, b.ctx, b.pool, lazily))
	require.EqualValues(t, 3, number(t, b.ctx, b.pool, keptPlace))

	given(t, b, "order-4", 1)
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.log_state SET updated_at = now() + interval '2 hours'`)
	require.EqualValues(t, 4, number(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position('1 second')`))
	require.EqualValues(t, 4, number(t, b.ctx, b.pool, keptPlace))
}

// Where nothing can be written, the live position is given and not kept; where one snapshot holds, the kept one.
func TestStableAdvanceWhereItCannotBeKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 3)
	require.EqualValues(t, 3, number(t, b.ctx, b.pool, advance))
	given(t, b, "order-2", 2)
	version := text(t, b, b.pool, keptVersion)
	for _, c := range []struct {
		options pgx.TxOptions
		want    int64
	}{
		{pgx.TxOptions{AccessMode: pgx.ReadOnly}, 5},
		{pgx.TxOptions{IsoLevel: pgx.ReadUncommitted, AccessMode: pgx.ReadOnly}, 5},
		{pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, 3},
		{pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, 3},
		{pgx.TxOptions{IsoLevel: pgx.Serializable}, 3},
		{pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly, DeferrableMode: pgx.Deferrable}, 3},
	} {
		require.NoError(t, pgx.BeginTxFunc(b.ctx, b.pool, c.options, func(tx pgx.Tx) error {
			require.Equal(t, c.want, number(t, b.ctx, tx, advance), "%+v", c.options)
			require.Equal(t, c.want, number(t, b.ctx, tx, `SELECT eventstream.stable_position()`), "%+v", c.options)
			events := readAll(t, b.repo.WithTx(tx).ReadLog(b.ctx, eventstream.LogOptions{}))
			require.Len(t, events, int(c.want), "%+v", c.options)
			require.Equal(t, c.want, events[len(events)-1].Sequence)
			head, err := b.repo.WithTx(tx).LogHead(b.ctx)
			require.NoError(t, err)
			require.Equal(t, eventstream.LogHead{Position: c.want, Sequence: c.want}, head)
			return nil
		}))
	}
	require.Equal(t, version, text(t, b, b.pool, keptVersion))
}

// A position far away, as after a failed load or a restore, is reached in bounded steps: each call keeps up to 200,000 more.
func TestStableAdvanceInBoundedSteps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2)
	execSQL(t, b.ctx, b.pool, `SELECT setval('eventstream.events_position_seq', 500000)`)
	given(t, b, "order-2", 2)
	for kept := int64(0); kept < 500_002; {
		require.EqualValues(t, 500_002, number(t, b.ctx, b.pool, advance), "the live position")
		next := number(t, b.ctx, b.pool, keptPlace)
		require.Greater(t, next, kept)
		require.LessOrEqual(t, next, kept+200_000)
		kept = next
	}
	requireNumbered(t, b)
	require.EqualValues(t, 4, number(t, b.ctx, b.pool, `SELECT last_sequence FROM eventstream.log_state WHERE last_position = 500002`))
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.log_marks`), "one for the hole")
	requireAuditClean(t, b)
}

// A role that may read tables and nothing else reads the log; keeping positions is not for everybody.
func TestStableARoleThatOnlyReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 5)
	execSQL(t, b.ctx, b.pool, advance)
	given(t, b, "order-2", 5)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role+`; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role)
	want := readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{}))
	require.Len(t, want, 10)
	given(t, b, "order-3", 1)
	pool := newPool(t, b.dsn, func(c *pgxpool.Config) {
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `SET SESSION AUTHORIZATION `+role)
			return err
		}
	})
	for _, handle := range []eventstream.Handle{pool, connect(t, b.dsn, role)} {
		reader := repoOn(t, handle)
		got := readAll(t, reader.ReadLog(b.ctx, eventstream.LogOptions{}))
		require.Equal(t, want, got[:10])
		require.Equal(t, int64(11), got[10].Sequence)
		for _, n := range []int64{2, 7, 11} {
			require.Equal(t, got[n-1:], readAll(t, reader.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.FromSequence(n)})))
			require.Equal(t, got[n-1:], readAll(t, reader.ReadLog(b.ctx, eventstream.LogOptions{
				From: eventstream.FromTime(got[n-1].RecordedAt), Filter: eventstream.LogFilter{Category: "order"},
			})))
		}
	}
	_, err := connect(t, b.dsn, role).Exec(context.Background(), advance)
	requireSQLState(t, err, "42501")
}
