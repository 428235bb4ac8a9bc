package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/seal"
	"github.com/gaplesspg/gapless/eventstream/shred"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// customerRegistered is an event about a person.
type customerRegistered struct {
	Customer  string          `json:"customer" shred:"subject"`
	Name      string          `json:"name" shred:"personal"`
	Plan      string          `json:"plan"`
	Forgotten shred.Forgotten `json:"-"`
}

var masterKeyOfTests = []byte("a master key of the tests: 32 by")

// vaultOn is a vault that asks the database each time, unless the config says otherwise.
func vaultOn(t testing.TB, keys *pgxpool.Pool, config shred.Config) *shred.Vault {
	t.Helper()
	master, err := shred.MasterKeys(masterKeyOfTests)
	require.NoError(t, err)
	if config.CacheTTL == 0 {
		config.CacheTTL = -1
	}
	vault, err := shred.NewVault(shred.PostgresKeys(keys), master, &config)
	require.NoError(t, err)
	return vault
}

func shredCodec(t testing.TB, vault *shred.Vault) *shred.Codec {
	t.Helper()
	registry, err := codec.New(codec.Event[customerRegistered]("customer.registered"))
	require.NoError(t, err)
	c, err := shred.NewCodec(vault, registry)
	require.NoError(t, err)
	return c
}

// readCustomers gives the values of a stream.
func readCustomers(t testing.TB, b *bundle, c *shred.Codec, id eventstream.StreamID) (customers []customerRegistered) {
	t.Helper()
	for value, err := range c.Values(b.ctx, b.repo.Read(b.ctx, id, eventstream.ReadOptions{})) {
		require.NoError(t, err)
		customers = append(customers, value.(customerRegistered))
	}
	return customers
}

// A subject is forgotten in history that stays as it is: versions, seals and the audit are as before.
func TestShredForgetsASubject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	vault := vaultOn(t, b.pool, shred.Config{})
	c := shredCodec(t, vault)
	for _, customer := range []string{"customer-1", "customer-2"} {
		_, err := c.Append(b.ctx, b.repo, "customers", eventstream.Any,
			customerRegistered{Customer: customer, Name: "Ada of " + customer, Plan: "gold"}, customerRegistered{Customer: customer, Name: "Countess"})
		require.NoError(t, err)
	}
	require.Equal(t, "Ada of customer-1", readCustomers(t, b, c, "customers")[0].Name)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events AS e WHERE e::text ~ 'Ada|Countess'`))
	execSQL(t, b.ctx, b.pool, advance)
	kept, sealed, err := seal.Next(b.ctx, b.pool, seal.DefaultEvents)
	require.NoError(t, err)
	require.True(t, sealed)

	record, err := vault.Forget(b.ctx, shred.Request{Subject: "customer-1", Reason: "asked to by mail", By: "support"})
	require.NoError(t, err)
	require.Equal(t, []string{"customer-1", "support", "asked to by mail"}, []string{record.Subject, record.ForgottenBy, record.Reason})
	customers := readCustomers(t, b, c, "customers")
	require.Equal(t, customerRegistered{Customer: "customer-1", Plan: "gold", Forgotten: shred.Forgotten{"/name"}}, customers[0])
	require.Equal(t, customerRegistered{Customer: "customer-2", Name: "Countess"}, customers[3])
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subject_keys WHERE subject = 'customer-1'`))
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.forgotten_subjects
		WHERE subject = 'customer-1' AND forgotten_by = 'support' AND recorded_by = session_user AND reason = 'asked to by mail'
			AND forgotten_at > now() - interval '1 hour'`))
	faults, err := seal.Verify(b.ctx, b.pool, &seal.Options{Kept: &kept})
	require.NoError(t, err)
	require.Empty(t, faults)
	require.NoError(t, b.repo.VerifyGapless(b.ctx, "customers"))
	requireAuditClean(t, b)

	_, err = c.Append(b.ctx, b.repo, "customers", eventstream.Any, customerRegistered{Customer: "customer-1", Name: "Ada"})
	require.ErrorIs(t, err, shred.ErrForgotten)
	require.Contains(t, err.Error(), "customer-1")
	require.EqualValues(t, 4, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	again := shredCodec(t, vaultOn(t, b.pool, shred.Config{AllowNewKey: true}))
	_, err = again.Append(b.ctx, b.repo, "customers", eventstream.Any, customerRegistered{Customer: "customer-1", Name: "Ada"})
	require.NoError(t, err)
	customers = readCustomers(t, b, again, "customers")
	require.Equal(t, []string{"", "Ada"}, []string{customers[0].Name, customers[4].Name})
	// Forgotten a second time, with a second record.
	second, err := vault.Forget(b.ctx, shred.Request{Subject: "customer-1", Reason: "asked again"})
	require.NoError(t, err)
	require.NotEqual(t, record.KeyID, second.KeyID)
	require.Empty(t, readCustomers(t, b, c, "customers")[4].Name)
	requireAuditClean(t, b)
}

// A value that was copied to another event, by somebody with the triggers off, is an error.
func TestShredFieldsCannotBeMoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := shredCodec(t, vaultOn(t, b.pool, shred.Config{}))
	for _, id := range []eventstream.StreamID{"a", "b"} {
		_, err := c.Append(b.ctx, b.repo, id, eventstream.Any, customerRegistered{Customer: "customer-1", Name: "Ada in " + string(id)})
		require.NoError(t, err)
	}
	execSQL(t, b.ctx, b.pool, `BEGIN; SET LOCAL session_replication_role = replica;
		UPDATE eventstream.events SET payload = (SELECT o.payload FROM eventstream.events AS o WHERE o.stream_id = 'b') WHERE stream_id = 'a'; COMMIT`)
	var err error
	for _, e := range c.Values(b.ctx, b.repo.Read(b.ctx, "a", eventstream.ReadOptions{})) {
		err = errors.Join(err, e)
	}
	require.ErrorIs(t, err, shred.ErrTampered)
	// An event goes nowhere but to the stream that it was made for.
	event, err := c.Encode(b.ctx, "a", customerRegistered{Customer: "customer-1", Name: "Ada"})
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "b", eventstream.Any, event)
	var mismatch *eventstream.StreamMismatchError
	require.ErrorAs(t, err, &mismatch)
}

// Many writers meet new subjects at the same time: each subject has one key, and everything can be read.
func TestShredKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	const writers, subjects = 8, 20
	var group sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		c := shredCodec(t, vaultOn(t, b.pool, shred.Config{CacheTTL: map[bool]time.Duration{true: -1, false: 60e9}[w%2 == 0]}))
		group.Add(1)
		go func() {
			defer group.Done()
			for s := range subjects {
				id := eventstream.StreamID(fmt.Sprintf("stream-%d", w))
				_, err := c.Append(b.ctx, b.repo, id, eventstream.Any, customerRegistered{Customer: fmt.Sprintf("customer-%d", s), Name: "Ada"})
				errs[w] = errors.Join(errs[w], err)
			}
		}()
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, subjects, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subject_keys`))
	c := shredCodec(t, vaultOn(t, b.pool, shred.Config{}))
	for w := range writers {
		for _, customer := range readCustomers(t, b, c, eventstream.StreamID(fmt.Sprintf("stream-%d", w))) {
			require.Equal(t, "Ada", customer.Name)
		}
	}
}

// Who makes a key waits for who forgets the subject, and sees it, whatever isolation sessions begin with; and the other way round.
func TestRaceSubjectKeyAgainstForget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	execSQL(t, b.ctx, b.pool, `ALTER DATABASE `+databaseOf(b)+` SET default_transaction_isolation = 'serializable'`)
	serializable := newPool(t, b.dsn)
	c := shredCodec(t, vaultOn(t, serializable, shred.Config{}))
	value := customerRegistered{Customer: "customer-1", Name: "Ada"}

	forgetting := session(t, b)
	simple(t, forgetting, `BEGIN ISOLATION LEVEL READ COMMITTED`, `SELECT eventstream.forget_subject('customer-1', 'asked to')`)
	encoded := make(chan error, 1)
	go func() {
		_, err := c.Encode(b.ctx, "a", value)
		encoded <- err
	}()
	waitAnyBlocked(t, b, forgetting.PgConn().PID())
	simple(t, forgetting, `COMMIT`)
	require.ErrorIs(t, <-encoded, shred.ErrForgotten)

	creating := session(t, b)
	simple(t, creating, `BEGIN ISOLATION LEVEL READ COMMITTED`,
		`SELECT eventstream.create_subject_key('customer-2', gen_random_uuid(), '\x01')`)
	forgotten := make(chan error, 1)
	go func() {
		_, err := vaultOn(t, serializable, shred.Config{}).Forget(b.ctx, shred.Request{Subject: "customer-2", Reason: "asked to"})
		forgotten <- err
	}()
	waitAnyBlocked(t, b, creating.PgConn().PID())
	simple(t, creating, `COMMIT`)
	require.NoError(t, <-forgotten)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subject_keys`))

	// In an older snapshot the functions would not see what they waited for, and refuse.
	for _, call := range []string{
		`SELECT eventstream.create_subject_key('customer-3', gen_random_uuid(), '\x01')`, `SELECT eventstream.forget_subject('customer-3', 'asked to')`,
	} {
		requireSQLState(t, simpleErr(b.ctx, session(t, b), call), "ES008")
	}
}

// waitAnyBlocked is waitBlocked for a session of a pool, whichever it is.
func waitAnyBlocked(t testing.TB, b *bundle, by uint32) {
	t.Helper()
	require.Eventually(t, func() bool {
		var blocked bool
		err := b.pool.QueryRow(b.ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a
			WHERE a.datname = current_database() AND $1::integer = ANY (pg_catalog.pg_blocking_pids(a.pid)))`, int32(by)).Scan(&blocked)
		return err == nil && blocked
	}, blockTimeout, 5e6)
}

// Raw SQL cannot make a key go without a record, nor a record go, nor change whose a key is.
func TestAttacksOnSubjectKeysAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	simple(t, session(t, b), `SELECT eventstream.create_subject_key('customer-1', gen_random_uuid(), '\x01')`,
		`SELECT eventstream.create_subject_key('customer-2', gen_random_uuid(), '\x02')`, `SELECT eventstream.forget_subject('customer-2', 'asked to')`)
	owner := connect(t, b.dsn, ownerRole(t, b))
	before := texts(t, b, `SELECT k::text FROM eventstream.subject_keys AS k UNION ALL SELECT f::text FROM eventstream.forgotten_subjects AS f`)
	for sql, code := range map[string]string{
		`DELETE FROM eventstream.subject_keys`:                                                                                   "ES004",
		`TRUNCATE eventstream.subject_keys`:                                                                                      "ES004",
		`UPDATE eventstream.subject_keys SET subject = 'customer-3'`:                                                             "ES004",
		`UPDATE eventstream.subject_keys SET key_id = gen_random_uuid()`:                                                         "ES004",
		`DELETE FROM eventstream.forgotten_subjects`:                                                                             "ES004",
		`UPDATE eventstream.forgotten_subjects SET reason = 'none'`:                                                              "ES004",
		`TRUNCATE eventstream.forgotten_subjects`:                                                                                "ES004",
		`SELECT eventstream.forget_subject('customer-1', ' ')`:                                                                   "ES008",
		`SELECT eventstream.forget_subject('customer-1', NULL)`:                                                                  "ES008",
		`SELECT eventstream.forget_subject('customer-1', 'why', ' ')`:                                                            "ES008",
		`SELECT eventstream.forget_subject(NULL, 'why')`:                                                                         "ES008",
		`SELECT eventstream.create_subject_key(' x', gen_random_uuid(), '\x01')`:                                                 "ES008",
		`SELECT eventstream.create_subject_key('customer-2', gen_random_uuid(), '\x01')`:                                         "ES020",
		`SELECT eventstream.create_subject_key('customer-3', gen_random_uuid(), '')`:                                             "23514",
		`INSERT INTO eventstream.forgotten_subjects (subject, forgotten_by, reason) VALUES ('x', 'y', '')`:                       "23514",
		`SELECT eventstream.create_subject_key('customer-2', (SELECT key_id FROM eventstream.forgotten_subjects), '\x01', true)`: "ES008",
	} {
		err := simpleErr(b.ctx, owner, sql)
		require.Equal(t, code, sqlState(err), "%s: %v", sql, err)
	}
	require.Equal(t, before, texts(t, b, `SELECT k::text FROM eventstream.subject_keys AS k UNION ALL SELECT f::text FROM eventstream.forgotten_subjects AS f`))
	reader := newRole(t, b)
	simple(t, session(t, b), `GRANT USAGE ON SCHEMA eventstream TO `+reader, `GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+reader)
	conn := connect(t, b.dsn, reader)
	for _, sql := range []string{
		`SELECT eventstream.create_subject_key('customer-3', gen_random_uuid(), '\x01')`, `SELECT eventstream.forget_subject('customer-1', 'why')`,
		`SELECT eventstream.lock_subject('customer-1')`, `SELECT eventstream.rewrap_subject_key(gen_random_uuid(), '\x01', '\x02')`,
		`SELECT eventstream.replay_forgotten(ARRAY[gen_random_uuid()], ARRAY['customer-1'], ARRAY[now()], ARRAY['me'], ARRAY['why'])`,
		`DELETE FROM eventstream.subject_keys`, `INSERT INTO eventstream.forgotten_subjects (subject, forgotten_by, reason) VALUES ('x', 'y', 'z')`,
	} {
		requireSQLState(t, simpleErr(b.ctx, conn, sql), denied)
	}
}

// A service needs the rights that the design names, and no more.
func TestAShredderNeedsTheRightsThatTheDesignNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	simple(t, session(t, b), `GRANT USAGE ON SCHEMA eventstream TO `+role,
		`GRANT SELECT ON eventstream.subject_keys, eventstream.forgotten_subjects TO `+role,
		`GRANT EXECUTE ON FUNCTION eventstream.create_subject_key TO `+role)
	pool := newPool(t, b.dsn, func(c *pgxpool.Config) { c.AfterConnect = authorized(role) })
	vault := vaultOn(t, pool, shred.Config{})
	c := shredCodec(t, vault)
	event, err := c.Encode(b.ctx, "a", customerRegistered{Customer: "customer-1", Name: "Ada"})
	require.NoError(t, err)
	_, err = c.Decode(b.ctx, event)
	require.NoError(t, err)
	_, err = vault.Forget(b.ctx, shred.Request{Subject: "customer-1", Reason: "asked to"})
	requireSQLState(t, err, denied)
	simple(t, session(t, b), `GRANT EXECUTE ON FUNCTION eventstream.forget_subject TO `+role)
	record, err := vault.Forget(b.ctx, shred.Request{Subject: "customer-1", Reason: "asked to"})
	require.NoError(t, err)
	require.Equal(t, role, record.ForgottenBy, "the user, where nobody is named")
}

// A backup from before knows the key: what was forgotten is forgotten again from the record, and the audit sees a key that came back. Neither
// the backup nor a dump of the keys has anything personal in it.
func TestShredForgetsInARestoredBackup(t *testing.T) {
	t.Parallel()
	own := ownServer(t, pgserver.Options{})
	from := onServer(t, own, createDatabase(t, own))
	require.NoError(t, migrations.Up(from.ctx, from.pool, nil))
	var kept []shred.Record
	vault := vaultOn(t, from.pool, shred.Config{BeforeForget: func(_ context.Context, r shred.Record) error {
		kept = append(kept, r)
		return nil
	}})
	c := shredCodec(t, vault)
	for _, customer := range []string{"customer-1", "customer-2"} {
		_, err := c.Append(from.ctx, from.repo, "customers", eventstream.Any, customerRegistered{Customer: customer, Name: "Ada Lovelace"})
		require.NoError(t, err)
	}
	dump, err := own.Dump(from.ctx, databaseOf(from.bundle))
	require.NoError(t, err)
	require.False(t, bytes.Contains(dump, []byte("Lovelace")))
	require.False(t, bytes.Contains(dump, masterKeyOfTests))
	_, err = vault.Forget(from.ctx, shred.Request{Subject: "customer-1", Reason: "asked to"})
	require.NoError(t, err)
	text := texts(t, from.bundle, `SELECT string_agg(encode(k.wrapped_key, 'hex'), ' ') FROM eventstream.subject_keys AS k`)

	name := createDatabase(t, own)
	require.NoError(t, own.Restore(from.ctx, name, dump))
	to := onServer(t, own, name)
	restored := vaultOn(t, to.pool, shred.Config{})
	back := shredCodec(t, restored)
	require.Equal(t, "Ada Lovelace", readCustomers(t, to.bundle, back, "customers")[0].Name, "the backup still has the key")
	deleted, err := restored.ReplayForgotten(to.ctx, kept)
	require.NoError(t, err)
	require.EqualValues(t, 1, deleted)
	customers := readCustomers(t, to.bundle, back, "customers")
	require.Equal(t, []string{"", "Ada Lovelace"}, []string{customers[0].Name, customers[1].Name})
	require.Equal(t, text, texts(t, to.bundle, `SELECT string_agg(encode(k.wrapped_key, 'hex'), ' ') FROM eventstream.subject_keys AS k`))
	require.Equal(t, texts(t, from.bundle, `SELECT f.forgotten_at::text || f.forgotten_by || f.reason FROM eventstream.forgotten_subjects AS f`),
		texts(t, to.bundle, `SELECT f.forgotten_at::text || f.forgotten_by || f.reason FROM eventstream.forgotten_subjects AS f`))
	requireAuditClean(t, to.bundle)

	// The table of keys alone was restored: the record of this database is what counts, and the audit shows it.
	execSQL(t, to.ctx, to.pool, `INSERT INTO eventstream.subject_keys (key_id, subject, wrapped_key)
		SELECT f.key_id, f.subject, '\x01' FROM eventstream.forgotten_subjects AS f`)
	require.Equal(t, []string{"subject_keys: key of a forgotten subject is back"}, auditProblems(t, to.pool))
	require.Empty(t, readCustomers(t, to.bundle, back, "customers")[0].Name)
	_, err = back.Encode(to.ctx, "a", customerRegistered{Customer: "customer-1", Name: "Ada"})
	require.ErrorIs(t, err, shred.ErrForgotten)
	_, err = restored.ReplayForgotten(to.ctx, kept)
	require.NoError(t, err)
	requireAuditClean(t, to.bundle)
}

// Keys in a database of their own: the events' database, with its owner, has nothing that opens a field.
func TestShredKeysInAnotherDatabase(t *testing.T) {
	t.Parallel()
	events, keys := setup(t), setup(t)
	vault := vaultOn(t, keys.pool, shred.Config{})
	c := shredCodec(t, vault)
	_, err := c.Append(events.ctx, events.repo, "customers", eventstream.Any, customerRegistered{Customer: "customer-1", Name: "Ada"})
	require.NoError(t, err)
	require.Zero(t, number(t, events.ctx, events.pool, `SELECT count(*) FROM eventstream.subject_keys`))
	require.Equal(t, "Ada", readCustomers(t, events, c, "customers")[0].Name)
	// The wrong key store is an error, rather than a subject that looks forgotten.
	wrong := shredCodec(t, vaultOn(t, events.pool, shred.Config{}))
	_, err = wrong.DecodeAll(events.ctx, loadedEvents(t, events, "customers"))
	require.ErrorIs(t, err, shred.ErrKeyLost)
}

func loadedEvents(t testing.TB, b *bundle, id eventstream.StreamID) []eventstream.Event {
	t.Helper()
	stream, err := b.repo.Load(b.ctx, id)
	require.NoError(t, err)
	return stream.EventsFrom(1)
}

// Another process that caches keys honours a Forget when its time is over; one that does not cache, at once.
func TestShredForgetReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	vault := vaultOn(t, b.pool, shred.Config{})
	cached := shredCodec(t, vaultOn(t, b.pool, shred.Config{CacheTTL: 1e9}))
	fresh := shredCodec(t, vaultOn(t, b.pool, shred.Config{}))
	event, err := cached.Encode(b.ctx, "a", customerRegistered{Customer: "customer-1", Name: "Ada"})
	require.NoError(t, err)
	_, err = vault.Forget(b.ctx, shred.Request{Subject: "customer-1", Reason: "asked to"})
	require.NoError(t, err)
	name := func(c *shred.Codec) string {
		values, err := c.Decode(b.ctx, event)
		require.NoError(t, err)
		return values[0].(customerRegistered).Name
	}
	require.Empty(t, name(fresh))
	require.Eventually(t, func() bool { return name(cached) == "" }, blockTimeout, 20e6)
	_, err = cached.Encode(b.ctx, "a", customerRegistered{Customer: "customer-1", Name: "Ada"})
	require.ErrorIs(t, err, shred.ErrForgotten)
}

// Records go in pages, in both directions.
func TestShredReplaysManyRecords(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.forget_subject('customer-' || n, 'closed') FROM generate_series(1, 1203) AS n`)
	var records []shred.Record
	for r, err := range vaultOn(t, b.pool, shred.Config{}).Forgotten(b.ctx) {
		require.NoError(t, err)
		records = append(records, r)
	}
	require.Len(t, records, 1203)
	execSQL(t, other.ctx, other.pool, `INSERT INTO eventstream.subject_keys (key_id, subject, wrapped_key)
		SELECT i.id, 'x' || i.n, '\x01' FROM unnest($1::uuid[]) WITH ORDINALITY AS i (id, n) WHERE i.n % 2 = 0`, keyIDs(records))
	deleted, err := vaultOn(t, other.pool, shred.Config{}).ReplayForgotten(other.ctx, records)
	require.NoError(t, err)
	require.EqualValues(t, 601, deleted)
	require.EqualValues(t, 1203, number(t, other.ctx, other.pool, `SELECT count(*) FROM eventstream.forgotten_subjects`))
}

func keyIDs(records []shred.Record) (ids []uuid.UUID) {
	for _, r := range records {
		ids = append(ids, r.KeyID)
	}
	return ids
}

// Errors of the key store are those of the module.
func TestShredSaysWhatIsNotMigrated(t *testing.T) {
	t.Parallel()
	b := bundleOn(t, newDatabase(t))
	_, err := shredCodec(t, vaultOn(t, b.pool, shred.Config{})).Encode(b.ctx, "a", customerRegistered{Customer: "customer-1"})
	var missing *eventstream.NotMigratedError
	require.ErrorAs(t, err, &missing)
	_, err = vaultOn(t, b.pool, shred.Config{}).Forget(b.ctx, shred.Request{Subject: strings.Repeat("x", 129), Reason: "y"})
	require.Error(t, err)
}
