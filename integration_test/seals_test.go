package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
)

// sealedStore holds three sealed blocks of three events: order-1 to order-3 with three versions each, some with data, and a position that
// nobody has in the second block (4).
func sealedStore(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	for i := 1; i <= 3; i++ {
		id := eventstream.StreamID(fmt.Sprintf("order-%d", i))
		_, err := b.repo.Append(b.ctx, id, eventstream.Empty, eventOf(t, `{"b": 1.0, "a": "é"}`), eventOf(t, `[1, 2]`))
		require.NoError(t, err)
		if i == 1 {
			_, err = b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, type, payload, data, partition_id)
				SELECT stream_id, 3, 'bytes', 'null', '\x00ff', partition_id FROM eventstream.events WHERE stream_id = 'order-1' AND version = 1`)
			require.NoError(t, err)
			_, err = b.pool.Exec(b.ctx, `SELECT nextval('eventstream.events_position_seq')`)
			require.NoError(t, err)
			continue
		}
		_, err = b.repo.Append(b.ctx, id, eventstream.Exact(2), eventOf(t, `{"n": 1e3}`))
		require.NoError(t, err)
	}
	for range 3 {
		_, sealed, err := seal.Next(b.ctx, b.pool, 3)
		require.NoError(t, err)
		require.True(t, sealed)
	}
	_, sealed, err := seal.Next(b.ctx, b.pool, 3)
	require.NoError(t, err)
	require.False(t, sealed, "everything is sealed")
	return b
}

func eventOf(t *testing.T, payload string) eventstream.Event {
	t.Helper()
	e, err := eventstream.NewEvent("thing.done", jsonText(payload))
	require.NoError(t, err)
	return e
}

type jsonText string

func (j jsonText) MarshalJSON() ([]byte, error) { return []byte(j), nil }

// sealFaults asks the database and the Go verifier, which must agree.
func sealFaults(t *testing.T, b *bundle, kept *seal.Kept) []string {
	t.Helper()
	var text *string
	if kept != nil {
		text = new(string)
		*text = kept.String()
	}
	rows, err := b.pool.Query(b.ctx, `SELECT block, coalesce(from_position, 0), coalesce(to_position, 0), coalesce(event_position, 0),
		coalesce(stream_id, ''), coalesce(version, 0), fault FROM eventstream.verify_seals(p_kept => $1)`, text)
	require.NoError(t, err)
	fromSQL, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Fault])
	require.NoError(t, err)
	fromGo, err := seal.Verify(b.ctx, b.pool, &seal.Options{Kept: kept})
	require.NoError(t, err)
	if len(fromSQL) == 0 {
		fromSQL = nil
	}
	require.Equal(t, fromSQL, fromGo, "both verifiers say the same")
	var got []string
	for _, f := range fromGo {
		got = append(got, f.String())
	}
	return got
}

// tamper changes history as a superuser can.
func tamper(t *testing.T, b *bundle, sql string) {
	t.Helper()
	_, err := b.pool.Exec(b.ctx, "BEGIN; SET LOCAL session_replication_role = replica; "+sql+"; COMMIT")
	require.NoError(t, err)
}

func TestSealsOfWhatIsUntouchedAreWhole(t *testing.T) {
	t.Parallel()
	b := sealedStore(t)
	kept, err := seal.Newest(b.ctx, b.pool)
	require.NoError(t, err)
	require.Equal(t, int64(3), kept.Block)
	require.Equal(t, int64(9), kept.LastSequence)
	require.Empty(t, sealFaults(t, b, nil))
	require.Empty(t, sealFaults(t, b, &kept))
	requireAuditClean(t, b)
	// A hole is no damage, and what comes later is none either.
	_, err = b.repo.Append(b.ctx, "order-9", eventstream.Empty, eventOf(t, `{}`))
	require.NoError(t, err)
	require.Empty(t, sealFaults(t, b, &kept))
}

// sealAttacks are what a superuser does whose session fires no triggers, and what both verifiers then say. Block 2 has positions 4 to 7.
var sealAttacks = map[string]struct {
	sql  string
	want []string
}{
	"an event removed": {`DELETE FROM eventstream.events WHERE position = 6`, []string{"block 2: event missing: position 6"}},
	"the tail removed": {
		`DELETE FROM eventstream.events WHERE position >= 7`,
		[]string{"block 2: event missing: position 7", "block 3: event missing: position 8"},
	},
	"two swapped": {
		`UPDATE eventstream.events SET position = -1 WHERE position = 1; UPDATE eventstream.events SET position = 1 WHERE position = 2;
		UPDATE eventstream.events SET position = 2 WHERE position = -1`,
		[]string{`block 1: event changed: position 1, version 2 of stream "order-1"`},
	},
	"moved into a hole": {
		`UPDATE eventstream.events SET position = 4 WHERE position = 6`,
		[]string{`block 2: event added: position 4, version 2 of stream "order-2"`},
	},
	"moved below everything": {
		`UPDATE eventstream.events SET position = -4 WHERE position = 6`,
		[]string{`block 1: event added: position -4, version 2 of stream "order-2"`, "block 2: event missing: position 6"},
	},
	"added below": {
		`INSERT INTO eventstream.events (position, stream_id, version, type, payload, partition_id) VALUES (4, 'order-7', 1, 'a', '{}', 0)`,
		[]string{`block 2: event added: position 4, version 1 of stream "order-7"`},
	},
	"a seal changed": {`UPDATE eventstream.seals SET seal = sha256(seal) WHERE block = 2`, []string{
		"block 2: seal changed", "block 3: does not follow the seal before it",
	}},
	"a root changed":           {`UPDATE eventstream.seals SET merkle_root = sha256(seal) WHERE block = 2`, []string{"block 2: seal changed"}},
	"a time of a seal changed": {`UPDATE eventstream.seals SET sealed_at = 'infinity' WHERE block = 2`, []string{"block 2: seal changed"}},
	"a seal removed":           {`DELETE FROM eventstream.seals WHERE block = 2`, []string{"block 3: seal before it missing"}},
	"the first seal removed":   {`DELETE FROM eventstream.seals WHERE block = 1`, []string{"block 2: seal before it missing"}},
	"kept digests changed": {
		`UPDATE eventstream.seals SET leaves = substr(leaves, 33) || substr(leaves, 1, 32) WHERE block = 2`,
		[]string{"block 2: leaves changed"},
	},
	"kept positions changed": {
		`UPDATE eventstream.seals SET positions = substr(positions, 9) || substr(positions, 1, 8) WHERE block = 2`,
		[]string{"block 2: leaves changed"},
	},
	"an event and its digest changed": {
		`UPDATE eventstream.events SET type = 'b' WHERE position = 5 OR position = 6;
		UPDATE eventstream.seals SET leaves = (SELECT string_agg(digest, ''::bytea ORDER BY position) FROM eventstream.event_digests
			WHERE position BETWEEN 4 AND 7) WHERE block = 2`,
		[]string{"block 2: events and leaves changed"},
	},
	"a block sealed anew": {
		`UPDATE eventstream.events SET type = 'b' WHERE position = 6;
		WITH n AS (SELECT string_agg(digest, ''::bytea ORDER BY position) AS leaves FROM eventstream.event_digests WHERE position BETWEEN 4 AND 7)
		UPDATE eventstream.seals AS s SET leaves = n.leaves, merkle_root = eventstream.merkle_root(n.leaves),
			seal = eventstream.seal_digest((SELECT store_id FROM eventstream.store), block, from_position, to_position, last_sequence, sealed_at,
				event_count, previous_seal, skipped_seal, eventstream.merkle_root(n.leaves)) FROM n WHERE block = 2`,
		[]string{"block 3: does not follow the seal before it"},
	},
	"the store renamed": {`UPDATE eventstream.store SET store_id = gen_random_uuid()`, []string{
		"block 1: seal changed", "block 2: seal changed", "block 3: seal changed",
	}},
}

func TestSealsFindEachChangeOfHistory(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for name, attack := range sealAttacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sealedStore(t)
			tamper(t, b, attack.sql)
			require.Equal(t, attack.want, sealFaults(t, b, nil))
		})
	}
}

// Every column of an event is in its digest: those that the catalog lists, each changed a little.
func TestSealsFindAChangeOfEachColumn(t *testing.T) {
	t.Parallel()
	b := sealedStore(t)
	columns := texts(t, b, `SELECT attname::text FROM pg_catalog.pg_attribute
		WHERE attrelid = 'eventstream.events'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'position' ORDER BY 1`)
	changes := map[string][]string{
		"version": {"version + 100"}, "event_id": {"gen_random_uuid()"}, "partition_id": {"partition_id + 1"},
		"occurred_at": {"occurred_at + interval '1 microsecond'", "'infinity'", "'-infinity'"},
		"recorded_at": {"recorded_at - interval '1 microsecond'", "'infinity'"},
		"stream_id":   {"stream_id || 'x'"}, "tenant_id": {"'other'"}, "type": {"'b'", "type || tenant_id"},
		"payload":  {`'{"b": 1.00, "a": "é"}'`, `'{"a": "é"}'`, `'null'`},
		"data":     {`'\x'`, `'\x00'`},
		"metadata": {`'{"a": 1}'`, `'[]'`},
	}
	require.Len(t, changes, len(columns), columns)
	for _, column := range columns {
		require.NotEmpty(t, changes[column], column)
		for _, change := range changes[column] {
			tamper(t, b, `CREATE TABLE public.saved AS SELECT * FROM eventstream.events WHERE position = 1;
				UPDATE eventstream.events SET `+column+` = `+change+` WHERE position = 1`)
			got := sealFaults(t, b, nil)
			require.Len(t, got, 1, "%s = %s", column, change)
			require.Contains(t, got[0], "block 1: event changed: position 1, ", "%s = %s", column, change)
			tamper(t, b, `DELETE FROM eventstream.events WHERE position = 1; INSERT INTO eventstream.events SELECT * FROM public.saved;
				DROP TABLE public.saved`)
			require.Empty(t, sealFaults(t, b, nil), "as it was")
		}
	}
	// Bytes that are there and bytes that are none are two things.
	tamper(t, b, `UPDATE eventstream.events SET data = NULL WHERE position = 3`)
	require.Len(t, sealFaults(t, b, nil), 1)
}

// What no look at the store itself can tell, a kept seal does.
func TestSealsKeptElsewhereProveWhatTheStoreCannot(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]struct {
		sql    string
		reseal bool
		want   string
	}{
		"the tail and its seals removed": {
			`DELETE FROM eventstream.events WHERE position > 7; DELETE FROM eventstream.seals WHERE block = 3`, false, "block 3: kept seal missing",
		},
		"everything removed": {`DELETE FROM eventstream.events; DELETE FROM eventstream.seals`, false, "block 3: kept seal missing"},
		"the chain written anew": {
			`UPDATE eventstream.events SET payload = '{}' WHERE position = 6; DELETE FROM eventstream.seals`, true, "block 3: not the kept seal",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sealedStore(t)
			kept, err := seal.Newest(b.ctx, b.pool)
			require.NoError(t, err)
			tamper(t, b, attack.sql)
			for attack.reseal {
				if _, attack.reseal, err = seal.Next(b.ctx, b.pool, 3); err != nil {
					require.NoError(t, err)
				}
			}
			require.Empty(t, sealFaults(t, b, nil), "the store alone looks whole")
			require.Equal(t, []string{attack.want}, sealFaults(t, b, &kept))
		})
	}
}

func TestSealsOfAnotherStoreAreTold(t *testing.T) {
	t.Parallel()
	b := sealedStore(t)
	kept, err := seal.Newest(b.ctx, b.pool)
	require.NoError(t, err)
	kept.StoreID[0]++
	require.Equal(t, []string{"block 3: kept seal of another store"}, sealFaults(t, b, &kept))
	_, err = b.pool.Exec(b.ctx, `SELECT * FROM eventstream.verify_seals(p_kept => 'something')`)
	require.Equal(t, "ES008", sqlState(err))
}

// The audit looks at seals alone and at the last event of each, and compares the newest block with its events.
func TestSealsThatDoNotFitShowInTheAudit(t *testing.T) {
	t.Parallel()
	b := sealedStore(t)
	tamper(t, b, `UPDATE eventstream.seals SET sealed_at = now() WHERE block = 1; DELETE FROM eventstream.events WHERE position = 10`)
	require.Equal(t, []string{"1 seal changed", "3 event missing", "3 last event missing"},
		texts(t, b, `SELECT (detail ->> 'block') || ' ' || (detail ->> 'problem') FROM eventstream.audit() WHERE check_name = 'seals' ORDER BY 1`))
}

func TestSealsAreAppendOnly(t *testing.T) {
	t.Parallel()
	b := sealedStore(t)
	for _, sql := range []string{
		`UPDATE eventstream.seals SET block = 7 WHERE block = 3`, `DELETE FROM eventstream.seals`, `TRUNCATE eventstream.seals`,
		`UPDATE eventstream.seals SET block = 7 WHERE false`,
	} {
		_, err := b.pool.Exec(b.ctx, sql)
		require.Equal(t, "ES004", sqlState(err), sql)
	}
}

// Who may read may verify, and not seal; who may seal needs nothing else.
func TestSealsNeedTheRightsThatTheDesignNames(t *testing.T) {
	t.Parallel()
	b := sealedStore(t)
	_, err := b.repo.Append(b.ctx, "order-9", eventstream.Empty, eventOf(t, `{}`))
	require.NoError(t, err)
	reader, sealer := newRole(t, b), newRole(t, b)
	_, err = b.pool.Exec(b.ctx, fmt.Sprintf(`GRANT USAGE ON SCHEMA eventstream TO %[1]s, %[2]s; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO %[1]s;
		GRANT EXECUTE ON FUNCTION eventstream.seal TO %[2]s`, reader, sealer))
	require.NoError(t, err)
	asReader, asSealer := connect(t, b.dsn, reader), connect(t, b.dsn, sealer)
	_, err = asReader.Exec(b.ctx, `SELECT * FROM eventstream.seal()`)
	require.Equal(t, "42501", sqlState(err))
	_, err = asReader.Exec(b.ctx, `INSERT INTO eventstream.seals SELECT * FROM eventstream.seals`)
	require.Equal(t, "42501", sqlState(err))
	_, sealed, err := seal.Next(b.ctx, asSealer, 0)
	require.NoError(t, err)
	require.True(t, sealed)
	_, err = asSealer.Exec(b.ctx, `SELECT * FROM eventstream.seals`)
	require.Equal(t, "42501", sqlState(err))
	kept, err := seal.Newest(b.ctx, asReader)
	require.NoError(t, err)
	faults, err := seal.Verify(b.ctx, asReader, &seal.Options{Kept: &kept})
	require.NoError(t, err)
	require.Empty(t, faults)
}

// An event whose transaction is open when others are sealed is in a later block, and no seal goes past it.
func TestSealsStopBeforeAnOpenWriter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	writer := session(t, b)
	tx, err := writer.Begin(b.ctx)
	require.NoError(t, err)
	_, err = b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Empty, eventOf(t, `{}`))
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "order-2", eventstream.Empty, eventOf(t, `{}`))
	require.NoError(t, err)
	_, sealed, err := seal.Next(b.ctx, b.pool, 0)
	require.NoError(t, err)
	require.False(t, sealed, "nothing is stable")
	require.NoError(t, tx.Commit(b.ctx))
	kept, sealed, err := seal.Next(b.ctx, b.pool, 0)
	require.NoError(t, err)
	require.True(t, sealed)
	require.Equal(t, int64(2), kept.LastSequence)
}

// Of two that seal at once the second waits, and seals what follows; with an old snapshot it is told to begin again. Writers wait for neither.
func TestSealsAtOnceWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.repo.Append(b.ctx, "order-1", eventstream.Empty, eventOf(t, `{}`), eventOf(t, `{}`))
	require.NoError(t, err)
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.advance_stable_position()`)
	require.NoError(t, err)
	old, err := session(t, b).BeginTx(b.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	_, err = old.Exec(b.ctx, `SELECT count(*) FROM eventstream.seals`)
	require.NoError(t, err)
	first, err := session(t, b).Begin(b.ctx)
	require.NoError(t, err)
	kept, _, err := seal.Next(b.ctx, first, 1)
	require.NoError(t, err)
	require.Equal(t, int64(1), kept.Block)
	second := session(t, b)
	done := make(chan error, 1)
	var next seal.Kept
	go func() {
		var err error
		next, _, err = seal.Next(b.ctx, second, 1)
		done <- err
	}()
	waitBlocked(t, b, second.PgConn().PID(), first.Conn().PgConn().PID())
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Exact(2), eventOf(t, `{}`))
	require.NoError(t, err)
	require.NoError(t, first.Commit(b.ctx))
	require.NoError(t, <-done)
	require.Equal(t, int64(2), next.Block)
	require.Empty(t, sealFaults(t, b, &next))
	_, _, err = seal.Next(b.ctx, old, 1)
	require.Equal(t, "40001", sqlState(err))
	require.NoError(t, old.Rollback(context.Background()))
}

func TestSealsDependOnNoSetting(t *testing.T) {
	t.Parallel()
	b := sealedStore(t)
	want := texts(t, b, `SELECT encode(digest, 'hex') FROM eventstream.event_digests ORDER BY position`)
	conn := session(t, b)
	for _, setting := range strings.Split(`timezone = 'Asia/Kathmandu'|datestyle = 'SQL, DMY'|intervalstyle = 'sql_standard'|bytea_output = 'escape'|`+
		`extra_float_digits = -15|client_encoding = 'LATIN1'|lc_numeric = 'C'|lc_monetary = 'C'|standard_conforming_strings = off|xmlbinary = 'hex'`, "|") {
		_, err := conn.Exec(b.ctx, "SET "+setting)
		require.NoError(t, err)
	}
	rows, err := conn.Query(b.ctx, `SELECT encode(digest, 'hex') FROM eventstream.event_digests ORDER BY position`)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, want, got)
}
