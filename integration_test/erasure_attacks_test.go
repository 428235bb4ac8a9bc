package integration_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// recorded is the record that goes with an erasure of version 2, complete but for what an attack makes of it.
const recorded = `INSERT INTO eventstream.erasures (position, version, event_id, stream_id, reason, payload_digest, data_digest, metadata_digest)
	SELECT position, version, event_id, stream_id, 'r', sha256(convert_to(payload::text, 'UTF8')), sha256(data), sha256(convert_to(metadata::text, 'UTF8'))
	FROM eventstream.events WHERE stream_id = 'person-1' AND version = 2`

const blanked = `payload = 'null', data = NULL, metadata = '{"$erased": true}'`

// updateAttacks change events past erase(). Who is not the owner may not even try.
var updateAttacks = map[string]string{
	"a payload":                      `UPDATE eventstream.events SET payload = '{}' WHERE version = 2`,
	"nothing at all":                 `UPDATE eventstream.events SET payload = payload WHERE version = 2`,
	"no row":                         `UPDATE eventstream.events SET payload = 'null' WHERE false`,
	"without a record":               `UPDATE eventstream.events SET ` + blanked + ` WHERE version = 2`,
	"a record of one for all":        `WITH r AS (` + recorded + `) UPDATE eventstream.events SET ` + blanked,
	"more than the content":          `WITH r AS (` + recorded + `) UPDATE eventstream.events SET ` + blanked + `, type = 'b' WHERE stream_id = 'person-1' AND version = 2`,
	"and the time":                   `WITH r AS (` + recorded + `) UPDATE eventstream.events SET ` + blanked + `, recorded_at = now() WHERE stream_id = 'person-1' AND version = 2`,
	"and the version":                `WITH r AS (` + recorded + `) UPDATE eventstream.events SET ` + blanked + `, version = 9 WHERE stream_id = 'person-1' AND version = 2`,
	"and the position":               `WITH r AS (` + recorded + `) UPDATE eventstream.events SET ` + blanked + `, position = 0 WHERE stream_id = 'person-1' AND version = 2`,
	"with another content":           `WITH r AS (` + recorded + `) UPDATE eventstream.events SET payload = '{}' WHERE stream_id = 'person-1' AND version = 2`,
	"with data that stay":            `WITH r AS (` + recorded + `) UPDATE eventstream.events SET payload = 'null', metadata = '{"$erased": true}' WHERE stream_id = 'person-1' AND version = 2`,
	"with a mark that says more":     `WITH r AS (` + recorded + `) UPDATE eventstream.events SET payload = 'null', data = NULL, metadata = '{"$erased": true, "a": 1}' WHERE stream_id = 'person-1' AND version = 2`,
	"another event than the record":  `WITH r AS (` + recorded + `) UPDATE eventstream.events SET ` + blanked + ` WHERE stream_id = 'person-1' AND version = 3`,
	"an erased event, again":         `UPDATE eventstream.events SET ` + blanked + ` WHERE stream_id = 'person-1' AND version = 1`,
	"content for an erased event":    `UPDATE eventstream.events SET payload = '{}', metadata = '{}' WHERE stream_id = 'person-1' AND version = 1`,
	"a record beforehand":            `BEGIN; ` + recorded + `; UPDATE eventstream.events SET ` + blanked + ` WHERE stream_id = 'person-1' AND version = 2; COMMIT`,
	"a record afterwards":            `BEGIN; UPDATE eventstream.events SET ` + blanked + ` WHERE stream_id = 'person-1' AND version = 2; ` + recorded + `; COMMIT`,
	"a setting":                      `SET eventstream.erase = 'on'; UPDATE eventstream.events SET ` + blanked + ` WHERE version = 2`,
	"by INSERT ON CONFLICT":          `INSERT INTO eventstream.events SELECT * FROM eventstream.events WHERE stream_id = 'person-1' AND version = 2 ON CONFLICT (stream_id, version) DO UPDATE SET payload = '{}'`,
	"by MERGE":                       `MERGE INTO eventstream.events AS e USING (SELECT 2 AS v) AS s ON e.version = s.v WHEN MATCHED THEN UPDATE SET payload = '{}'`,
	"by DELETE":                      `DELETE FROM eventstream.events WHERE stream_id = 'person-1' AND version = 1`,
	"by TRUNCATE":                    `TRUNCATE eventstream.events`,
	"what was discarded":             `UPDATE eventstream.discarded_events SET reason = 'another'`,
	"what was discarded, unrecorded": `UPDATE eventstream.discarded_events SET ` + blanked,
	"the discarded, by DELETE":       `DELETE FROM eventstream.discarded_events`,
	"a digest that is another": `WITH r AS (INSERT INTO eventstream.erasures (position, version, event_id, stream_id, reason, payload_digest, data_digest, metadata_digest)
		SELECT position, version, event_id, stream_id, 'r', sha256('a'), sha256(data), sha256(convert_to(metadata::text, 'UTF8'))
		FROM eventstream.events WHERE stream_id = 'person-1' AND version = 2)
		UPDATE eventstream.events SET ` + blanked + ` WHERE stream_id = 'person-1' AND version = 2`,
	"data that were not": `WITH r AS (INSERT INTO eventstream.erasures (position, version, event_id, stream_id, reason, payload_digest, metadata_digest)
		SELECT position, version, event_id, stream_id, 'r', sha256(convert_to(payload::text, 'UTF8')), sha256(convert_to(metadata::text, 'UTF8'))
		FROM eventstream.events WHERE stream_id = 'person-1' AND version = 2)
		UPDATE eventstream.events SET ` + blanked + ` WHERE stream_id = 'person-1' AND version = 2`,
}

// recordAttacks change the record of erasures.
var recordAttacks = map[string]string{
	"a record without an erasure": recorded,
	"of what was erased before": `INSERT INTO eventstream.erasures (position, version, event_id, stream_id, reason, payload_digest, metadata_digest)
		SELECT position, version, gen_random_uuid(), stream_id, 'r', sha256('a'), sha256('b') FROM eventstream.events WHERE stream_id = 'person-1' AND version = 1`,
	"of an event that is not": `INSERT INTO eventstream.erasures (position, version, event_id, stream_id, reason, payload_digest, metadata_digest)
		VALUES (1, 1, gen_random_uuid(), 'person-7', 'r', sha256('a'), sha256('b'))`,
	"of what was not discarded": `INSERT INTO eventstream.erasures (version, event_id, stream_id, place, reason, payload_digest, metadata_digest)
		VALUES (1, gen_random_uuid(), 'person-1', 'discarded_events', 'r', sha256('a'), sha256('b'))`,
	"by another": `WITH r AS (` + recorded + ` RETURNING 1), n AS (SELECT 1) INSERT INTO eventstream.erasures
		(position, version, event_id, stream_id, erased_by, reason, payload_digest, metadata_digest)
		SELECT position, version, event_id, stream_id, 'somebody', 'r', sha256('a'), sha256('b') FROM eventstream.events WHERE stream_id = 'person-1' AND version = 3`,
	"another reason":   `UPDATE eventstream.erasures SET reason = 'another'`,
	"another user":     `UPDATE eventstream.erasures SET erased_by = 'another'`,
	"forgotten":        `DELETE FROM eventstream.erasures`,
	"all of forgotten": `TRUNCATE eventstream.erasures`,
}

// The guard lets through what erase() does, and nothing else, whoever tries: the owner, a superuser, a writer.
func TestErasureIsTheOnlyChangeThatEventsTake(t *testing.T) {
	t.Parallel()
	b, _, kept := personStore(t)
	ahead := aPerson(t, 9)
	ahead.Version = 9
	_, err := b.repo.Ingest(b.ctx, "person-1", ahead)
	require.NoError(t, err)
	_, err = b.repo.DiscardPending(b.ctx, "person-1", "lost", 1)
	require.NoError(t, err)
	erase(t, b, 1, 1)
	before := contents(t, b.pool)
	count := number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.erasures`)
	superuser := session(t, b)
	writer := connect(t, b.dsn, writerRole(t, b))
	sessions := map[string]*pgx.Conn{"superuser": superuser, "owner": connect(t, b.dsn, ownerRole(t, b)), "writer": writer}
	for _, attacks := range []map[string]string{updateAttacks, recordAttacks} {
		for name, sql := range attacks {
			for who, code := range map[string]string{"superuser": "ES004", "owner": "ES004", "writer": "42501"} {
				on := sessions[who]
				err := simpleErr(b.ctx, on, sql)
				requireSQLStateOf(t, err, code, "%s: %s", who, name)
				require.NoError(t, simpleErr(b.ctx, on, `ROLLBACK`))
			}
		}
	}
	require.ErrorContains(t, simpleErr(b.ctx, writer, `SELECT eventstream.erase('person-1', '[2,2]', 'r')`), "permission denied")
	require.ErrorContains(t, simpleErr(b.ctx, writer, `SELECT * FROM eventstream.close_stream('person-1', 'r')`), "permission denied")
	require.Equal(t, before, contents(t, b.pool))
	require.Equal(t, count, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.erasures`))
	require.Empty(t, sealFaults(t, b, &kept))
	// The right to erase() is all that it takes.
	role := newRole(t, b)
	simple(t, superuser, `GRANT USAGE ON SCHEMA eventstream TO `+role+`; GRANT EXECUTE ON FUNCTION eventstream.erase TO `+role)
	simple(t, connect(t, b.dsn, role), `SELECT eventstream.erase('person-1', '[2,2]', 'r')`)
	require.Equal(t, []string{role}, texts(t, b, `SELECT erased_by FROM eventstream.erasures WHERE version = 2`))
}

func requireSQLStateOf(t *testing.T, err error, code, format string, args ...any) {
	t.Helper()
	require.Error(t, err, append([]any{format}, args...)...)
	require.Equal(t, code, sqlState(err), append([]any{format + ": " + err.Error()}, args...)...)
}

// What a superuser does whose session fires no triggers is found by the seals, also where an erasure is to cover it.
func TestSealsFindWhatForgedErasuresShallCover(t *testing.T) {
	t.Parallel()
	const second = `["block 1: event changed: position 2, version 2 of stream \"person-1\""]`
	for name, c := range map[string]struct{ sql, want string }{
		"a byte changed": {`UPDATE eventstream.events SET payload = '{"n": 3}' WHERE position = 2`, second},
		"a byte changed, its digests on record": {
			recorded + `; UPDATE eventstream.events SET payload = '{"n": 3}' WHERE position = 2`, second,
		},
		"content replaced by the mark": {`UPDATE eventstream.events SET ` + blanked + ` WHERE position = 2`, second},
		"replaced, with forged digests": {
			`INSERT INTO eventstream.erasures (position, version, event_id, stream_id, reason, payload_digest, data_digest, metadata_digest)
			SELECT position, version, event_id, stream_id, 'r', sha256('a'), sha256('b'), sha256('c') FROM eventstream.events WHERE position = 2;
			UPDATE eventstream.events SET ` + blanked + ` WHERE position = 2`, second,
		},
		"a kept digest changed": {
			`UPDATE eventstream.erasures SET payload_digest = sha256(payload_digest) WHERE version = 1`,
			`["block 1: event changed: position 1, version 1 of stream \"person-1\""]`,
		},
		"a record removed": {
			`DELETE FROM eventstream.erasures WHERE version = 1`, `["block 1: event changed: position 1, version 1 of stream \"person-1\""]`,
		},
		"content given to an erased event": {
			`UPDATE eventstream.events SET payload = '{"name": "another"}' WHERE position = 1`,
			`["block 1: event changed: position 1, version 1 of stream \"person-1\""]`,
		},
		"data given to an erased event": {
			`UPDATE eventstream.events SET data = '\x00' WHERE position = 1`, `["block 1: event changed: position 1, version 1 of stream \"person-1\""]`,
		},
		"the type of an erased event": {
			`UPDATE eventstream.events SET type = 'b' WHERE position = 1`, `["block 1: event changed: position 1, version 1 of stream \"person-1\""]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, _ := personStore(t)
			erase(t, b, 1, 1)
			require.Empty(t, sealFaults(t, b, nil))
			tamper(t, b, c.sql)
			require.Equal(t, c.want, toJSON(t, sealFaults(t, b, nil)))
		})
	}
}
