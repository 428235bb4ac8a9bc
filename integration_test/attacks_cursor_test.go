package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A lock that is taken in a cursor's statement is the cursor's: PostgreSQL lets go of it when a later FETCH fails within a savepoint, though the
// rows of the first one stay. Steps: a transaction appends by FETCH, fails in the next one, and rolls back to a savepoint in between; another
// session appends. The position of the first event must not be passed as stable before it is committed.
func TestCursorsDoNotLetGoOfTheInFlightLock(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"Append": `SELECT eventstream.append_event('order-1', -1, NULL, 'a', NULL, NULL, NULL, NULL, NULL, NULL), 1 / (2 - i)
			FROM generate_series(1, 3) AS i`,
		"AppendBatch": `SELECT eventstream.append_batch('{order-1}', '{-1}', '{1}', NULL, '{a}', NULL), 1 / (2 - i)
			FROM generate_series(1, 3) AS i`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-0", 1)
			writer := session(t, b)
			simple(t, writer, `BEGIN`, `DECLARE c CURSOR FOR `+query, `FETCH 1 FROM c`, `SAVEPOINT s`)
			requireSQLState(t, simpleErr(b.ctx, writer, `FETCH 1 FROM c`), "22012")
			simple(t, writer, `ROLLBACK TO s`)

			given(t, b, "order-2", 1)
			require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position()`), "2 is not committed yet")
			simple(t, writer, `COMMIT`)
			require.Equal(t, int64(3), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
			require.Equal(t, drawn(t, b), number(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position()`))
			requireAuditClean(t, b)
		})
	}
}

// Arrays that do not begin at 1, or have two dimensions, would be read out of step: something would be acknowledged that is not stored.
func TestAppendBatchRefusesArraysThatBeginElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, call := range map[string]string{
		"Counts":    `ARRAY['a'], ARRAY[-1], '[0:0]={2}'::integer[], NULL, ARRAY['t', 't'], NULL`,
		"Matrix":    `ARRAY['a'], ARRAY[-1], ARRAY[[2]], NULL, ARRAY['t', 't'], NULL`,
		"Streams":   `'[0:0]={a}'::text[], ARRAY[-1], ARRAY[1], NULL, ARRAY['t'], NULL`,
		"Tenants":   `ARRAY['a'], ARRAY[-1], ARRAY[1], NULL, ARRAY['t'], NULL, p_tenant_ids => '[0:0]={other}'`,
		"Partition": `ARRAY['a'], ARRAY[-1], ARRAY[1], NULL, ARRAY['t'], NULL, p_partition_ids => '[3:3]={5}'`,
		"Types":     `ARRAY['a'], ARRAY[-1], ARRAY[1], NULL, '[2:2]={t}'::text[], NULL`,
		"Payloads":  `ARRAY['a'], ARRAY[-1], ARRAY[1], NULL, ARRAY['t'], '[0:0]={null}'::jsonb[]`,
	} {
		_, err := b.pool.Exec(b.ctx, `SELECT * FROM eventstream.append_batch(`+call+`)`)
		require.Error(t, err, name)
		requireSQLState(t, err, "ES008")
	}
	require.Zero(t, drawn(t, b))
}

// A batch that loses for a reason that will not go away is given up, not tried again and again.
func TestAppendBatchGivesUpWhatCannotChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const taken, twice = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.append('order-1', 't', p_event_id => '`+taken+`')`)
	before := drawn(t, b)
	_, err := b.pool.Exec(b.ctx, `SELECT * FROM eventstream.append_batch('{order-1,order-2,order-3}', '{-1,-1,-1}', '{1,1,1}',
		'{`+taken+`,`+twice+`,`+twice+`}', '{t,t,t}', '{{},{},{}}', p_atomic => false)`)
	require.Error(t, err)
	require.LessOrEqual(t, drawn(t, b)-before, int64(12), "a few tries of 3 events")

	// A projection's own unique index is no race either, for what waits.
	execSQL(t, b.ctx, b.pool, `CREATE TABLE public.seen (version bigint PRIMARY KEY);
		INSERT INTO public.seen VALUES (2);
		CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (NEW.version); RETURN NULL; END $$;
		SELECT * FROM eventstream.ingest('edge-1', '{2}', ARRAY[gen_random_uuid()], '{t}', '{null}');
		CREATE TRIGGER see AFTER INSERT ON eventstream.events FOR EACH ROW WHEN (NEW.stream_id = 'edge-1') EXECUTE FUNCTION public.see();
		INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id)
		VALUES ('edge-1', 1, 't', '{}', eventstream.partition_of('edge-1', 32))`)
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.advance_watermark('edge-1')`)
	requireSQLState(t, err, "23505")
}

// A transaction locks 64 streams at most, whatever it calls: locks live in memory that all sessions share.
func TestATransactionHoldsABoundedNumberOfStreamLocks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, call := range map[string]string{
		"Append":  `SELECT count(*) FROM generate_series(1, 200) AS i, eventstream.append('a-' || i, 't')`,
		"Refused": `SELECT count(*) FROM generate_series(1, 200) AS i, eventstream.append_event('b-' || i, 7, NULL, 't', '{}', NULL, NULL, NULL, NULL, NULL)`,
		"Ingest":  `SELECT count(*) FROM generate_series(1, 200) AS i, eventstream.ingest('c-' || i, '{2}', ARRAY[gen_random_uuid()], '{t}', '{null}')`,
	} {
		tx, err := b.pool.Begin(b.ctx)
		require.NoError(t, err)
		require.Equal(t, int64(200), number(t, b.ctx, tx, call), name)
		require.LessOrEqual(t, number(t, b.ctx, tx, `SELECT count(*) FROM pg_locks
			WHERE locktype = 'advisory' AND objsubid = 2 AND pid = pg_backend_pid()`), int64(64), name)
		require.NoError(t, tx.Rollback(b.ctx))
	}
}
