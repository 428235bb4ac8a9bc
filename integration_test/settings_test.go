package integration_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// queryModes are pgx's ways to send a query.
var queryModes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

// sessionDefaults are values that a database, a role or a session may come with; none of them is what the tests run with otherwise.
var sessionDefaults = []struct{ name, value string }{
	{"default_transaction_isolation", "repeatable read"},
	{"default_transaction_isolation", "serializable"},
	{"statement_timeout", "30s"},
	{"lock_timeout", "30s"},
	{"idle_in_transaction_session_timeout", "30s"},
	{"DateStyle", "SQL, DMY"},
	{"DateStyle", "German"},
	{"DateStyle", "Postgres, MDY"},
	{"IntervalStyle", "sql_standard"},
	{"TimeZone", "Asia/Kathmandu"},
	{"bytea_output", "escape"},
	{"array_nulls", "off"},
	{"synchronous_commit", "off"},
	{"row_security", "off"},
	{"search_path", "public"},
	{"search_path", "public, pg_catalog, pg_temp"},
	{"search_path", "nowhere"},
	{"extra_float_digits", "-15"},
	{"xmlbinary", "hex"},
	{"plan_cache_mode", "force_generic_plan"},
	{"default_transaction_deferrable", "on"},
}

// Whatever a database, a role or a session has as its defaults, everything works in each query mode.
func TestSettingsThatADatabaseComesWith(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for _, setting := range sessionDefaults {
		t.Run(setting.name+" "+setting.value, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			execSQL(t, b.ctx, b.pool, fmt.Sprintf(`ALTER DATABASE %s SET %s = %s`,
				pgx.Identifier{databaseOf(b)}.Sanitize(), setting.name, settingValue(setting.name, setting.value)))
			for _, mode := range queryModes {
				t.Run(mode.String(), func(t *testing.T) {
					if textResults(mode) && setting.name == "array_nulls" {
						refusesWordsForNull(t, underDefaults(t, b, mode, nil), mode.String())
						return
					}
					if textResults(mode) && (setting.name == "DateStyle" || setting.name == "bytea_output") {
						refusesUnder(t, underDefaults(t, b, mode, nil), mode.String())
						return
					}
					worksUnder(t, underDefaults(t, b, mode, nil), mode.String())
				})
			}
			requireAuditClean(t, b)
		})
	}
}

// textResults says that values come as text, as the session has the server write it.
func textResults(mode pgx.QueryExecMode) bool {
	return mode == pgx.QueryExecModeExec || mode == pgx.QueryExecModeSimpleProtocol
}

// refusesWordsForNull demands that what can be told apart works, and that the word which array_nulls = off makes of NULL is not stored.
func refusesWordsForNull(t *testing.T, b *bundle, prefix string) {
	t.Helper()
	id := func(n int) eventstream.StreamID {
		return eventstream.StreamID(fmt.Sprintf("%s-%d", strings.ReplaceAll(prefix, " ", "_"), n))
	}
	data, metadata := eventstream.WithData([]byte{0, 0xff}), eventstream.WithMetadata(map[string]int{"a": 1})
	bare, err := eventstream.NewEvent("a.b", nil)
	require.NoError(t, err)
	whole := []eventstream.Event{bare, anEvent(t, 2, metadata), anEvent(t, 3)}
	_, err = b.repo.Append(b.ctx, id(1), eventstream.Empty, whole...)
	require.NoError(t, err)
	requireHolds(t, b, id(1), whole...)
	stream, err := b.repo.Load(b.ctx, id(1))
	require.NoError(t, err)
	for i, e := range stream.EventsFrom(1) {
		require.Nil(t, e.Data)
		require.JSONEq(t, orNull(whole[i].Payload), orNull(e.Payload))
		require.JSONEq(t, orEmpty(whole[i].Metadata), orEmpty(e.Metadata))
	}
	_, err = b.repo.Append(b.ctx, id(2), eventstream.Empty, anEvent(t, 1, data), anEvent(t, 2, data))
	require.NoError(t, err)

	mixed := []eventstream.Event{anEvent(t, 1), anEvent(t, 2, data)}
	_, err = b.repo.Append(b.ctx, id(3), eventstream.Empty, mixed...)
	requireInvalidValue(t, err, "data", "NULL")
	mixed[0].Version, mixed[1].Version = 1, 2
	_, err = b.repo.Ingest(b.ctx, id(3), mixed...)
	requireInvalidValue(t, err, "data", "NULL")
	_, err = b.repo.Load(b.ctx, id(3))
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
}

func requireInvalidValue(t *testing.T, err error, field, value string) {
	t.Helper()
	var invalid *eventstream.InvalidValueError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, []string{field, value}, []string{invalid.Field, invalid.Value})
}

// refusesUnder demands one clear error wherever a value comes that is written in another format.
func refusesUnder(t *testing.T, b *bundle, prefix string) {
	t.Helper()
	prefix = strings.ReplaceAll(prefix, " ", "_")
	id := eventstream.StreamID(prefix + "-1")
	written := anEvent(t, 1, eventstream.WithData([]byte{0, 0xff}))
	result, err := b.repo.Append(b.ctx, id, eventstream.Empty, written)
	require.NoError(t, err)
	_, loadErr := b.repo.Load(b.ctx, id)
	_, eventErr := b.repo.Event(b.ctx, written.ID)
	_, readErr := lastOf(b.repo.Read(b.ctx, id, eventstream.ReadOptions{}))
	_, logErr := lastOf(b.repo.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.FromPosition(result.LastPosition)}))
	s := subscribe(t, b, prefix, subscription.TxHandler(newJournal().tx), nil)
	runErr := run1(t, b, s).wait(t, b)
	for what, err := range map[string]error{"Load": loadErr, "Event": eventErr, "Read": readErr, "ReadLog": logErr, "Run": runErr} {
		require.ErrorIs(t, err, eventstream.ErrSessionFormat, what)
		var format *eventstream.SessionFormatError
		require.ErrorAs(t, err, &format, what)
		require.Contains(t, []string{"occurred_at", "data"}, format.Column, what)
	}
}

// lastOf gives the last pair of a sequence.
func lastOf[T any](seq iter.Seq2[T, error]) (last T, err error) {
	for v, e := range seq {
		last, err = v, e
	}
	return last, err
}

// It makes no difference who says it: the database, the role, or the session when it is opened.
func TestSettingsOfARoleAndASession(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run("role/"+level, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			execSQL(t, b.ctx, b.pool, fmt.Sprintf(`ALTER ROLE CURRENT_USER IN DATABASE %s SET default_transaction_isolation = '%s'`,
				pgx.Identifier{databaseOf(b)}.Sanitize(), level))
			worksUnder(t, underDefaults(t, b, pgx.QueryExecModeCacheStatement, nil), "role")
			requireAuditClean(t, b)
		})
		t.Run("session/"+level, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			worksUnder(t, underDefaults(t, b, pgx.QueryExecModeCacheStatement, map[string]string{
				"default_transaction_isolation": level,
			}), "session")
			requireAuditClean(t, b)
		})
	}
}

// settingValue is a value as ALTER DATABASE takes it: lists are lists, all else is one string.
func settingValue(name, value string) string {
	if name == "search_path" || name == "DateStyle" {
		return value
	}
	return "'" + value + "'"
}

// underDefaults is a bundle whose pool leaves every setting to the server, but for those given.
func underDefaults(t testing.TB, b *bundle, mode pgx.QueryExecMode, params map[string]string) *bundle {
	t.Helper()
	return anotherProcess(t, b, nil, withQueryMode(mode), func(c *pgxpool.Config) {
		delete(c.ConnConfig.RuntimeParams, "search_path")
		for name, value := range params {
			c.ConnConfig.RuntimeParams[name] = value
		}
	})
}

// worksUnder goes through everything that a user does, under names that begin with a prefix, and demands that it gives what it should.
func worksUnder(t *testing.T, b *bundle, prefix string) {
	t.Helper()
	name := func(what string) string { return strings.ReplaceAll(prefix, " ", "_") + "_" + what }
	id := func(what string) eventstream.StreamID { return eventstream.StreamID(name(what) + "-1") }
	j, effects := newJournal(), newJournal()
	from := number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`)
	tx := subscribe(t, b, name("tx"), subscription.TxHandler(j.tx), &subscription.Config{From: eventstream.FromLatest})
	keepRunning(t, b, tx)
	effect := subscribe(t, b, name("effect"), subscription.EffectHandler(effects.effect), &subscription.Config{
		From: eventstream.FromLatest, Shards: 4,
	})
	keepRunning(t, b, effect)

	want := settingsWrites(t, b, id)
	read := readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.FromSequence(from + 1)}))
	require.Len(t, read, len(want))
	for _, e := range read {
		w := want[e.ID.String()]
		require.Equal(t, w.Data, e.Data, "data of %s", e.StreamID)
		require.Equal(t, w.OccurredAt, e.OccurredAt)
		require.JSONEq(t, orNull(w.Payload), orNull(e.Payload))
		require.JSONEq(t, orEmpty(w.Metadata), orEmpty(e.Metadata))
	}
	require.Equal(t, from+1, read[0].Sequence)
	settingsReads(t, b, id, from, read)

	last := read[len(read)-1].Position
	require.NoError(t, tx.WaitFor(b.ctx, last))
	require.NoError(t, effect.WaitFor(b.ctx, last))
	require.Len(t, j.all(), len(want), "the TxHandler got all that came after it began, and nothing before")
	require.Len(t, effects.all(), len(want))
	settingsSubscriptions(t, b, tx, last)
}

func orNull(text []byte) string {
	if text == nil {
		return "null"
	}
	return string(text)
}

func orEmpty(text []byte) string {
	if text == nil {
		return "{}"
	}
	return string(text)
}

// settingsWrites writes in every way, each event with another part of it missing, and returns all that was written by its id.
func settingsWrites(t *testing.T, b *bundle, id func(string) eventstream.StreamID) map[string]eventstream.Event {
	t.Helper()
	written := map[string]eventstream.Event{}
	mixed := func(first int) []eventstream.Event {
		events := []eventstream.Event{
			anEvent(t, first), anEvent(t, first+1, eventstream.WithData([]byte{0, 0xff, '\\', 'N', 'U', 'L', 'L'})),
			anEvent(t, first+2, eventstream.WithMetadata(map[string]string{"a": "NULL"})), anEvent(t, first+3),
		}
		for i := range events {
			events[i].Version = int64(first + i)
			written[events[i].ID.String()] = events[i]
		}
		return events
	}
	_, err := b.repo.Append(b.ctx, id("several"), eventstream.Empty, mixed(1)...)
	require.NoError(t, err)
	_, err = b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: id("several"), Expected: eventstream.Exact(4), Events: mixed(5)},
		eventstream.AppendRequest{StreamID: id("many"), Expected: eventstream.Empty, Events: mixed(1)})
	require.NoError(t, err)
	for n, e := range mixed(1) {
		_, err := b.repo.Append(b.ctx, id("single"), eventstream.Exact(int64(n)), e)
		require.NoError(t, err)
	}
	ingested := mixed(1)
	for _, batch := range [][]eventstream.Event{ingested[1:], ingested[:1]} {
		_, err := b.repo.Ingest(b.ctx, id("ingested"), batch...)
		require.NoError(t, err)
	}
	imported := mixed(1)
	for i := range imported {
		imported[i].StreamID = id("imported")
	}
	result, err := b.repo.Import(b.ctx, sourceOf(imported...))
	require.NoError(t, err)
	require.Equal(t, int64(4), result.Imported)
	return written
}

func settingsReads(t *testing.T, b *bundle, id func(string) eventstream.StreamID, from int64, read []eventstream.LogEvent) {
	t.Helper()
	stream, err := b.repo.Load(b.ctx, id("several"))
	require.NoError(t, err)
	require.Equal(t, int64(8), stream.CurrentVersion())
	require.False(t, stream.CreatedAt().IsZero())
	require.Len(t, readAll(t, b.repo.Read(b.ctx, id("several"), eventstream.ReadOptions{Backwards: true})), 8)
	event, err := b.repo.Event(b.ctx, read[0].ID)
	require.NoError(t, err)
	require.Equal(t, read[0].Event, event)
	head, err := b.repo.LogHead(b.ctx)
	require.NoError(t, err)
	require.Equal(t, from+int64(len(read)), head.Sequence)
	back := readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{Backwards: true, Limit: len(read)}))
	require.Equal(t, read[0], back[len(back)-1])
	filtered := readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{
		From:   eventstream.FromTime(read[0].RecordedAt),
		Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.placed"}, Tenant: eventstream.DefaultTenant},
	}))
	require.Equal(t, read, filtered[len(filtered)-len(read):])
	findings, err := b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Empty(t, findings)
	require.NoError(t, b.repo.VerifyGapless(b.ctx, id("ingested")))
	_, err = b.repo.Stream(b.ctx, id("several"))
	require.NoError(t, err)
	_, err = b.repo.PartitionStats(b.ctx)
	require.NoError(t, err)
}

func settingsSubscriptions(t *testing.T, b *bundle, s *subscription.Subscription, last int64) {
	t.Helper()
	lag, err := s.Lag(b.ctx)
	require.NoError(t, err)
	require.Zero(t, lag[0].Events)
	require.Equal(t, last, lag[0].StablePosition)
	require.Equal(t, subscription.ShardOwned, lag[0].State)
	require.NoError(t, subscription.Reset(b.ctx, b.repo, s.Name(), eventstream.FromLatest))
	require.NoError(t, subscription.Pause(b.ctx, b.repo, s.Name()))
	require.NoError(t, subscription.Resume(b.ctx, b.repo, s.Name()))
	_ = readAll(t, subscription.ParkedEvents(b.ctx, b.repo, s.Name()))
}

// A writer and a reader at the same time, each with its own idea of a snapshot: nobody meets an error that READ COMMITTED would not give.
func TestSettingsOfIsolationUnderConcurrency(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p := underDefaults(t, b, pgx.QueryExecModeCacheStatement, map[string]string{"default_transaction_isolation": level})
			j := newJournal()
			var mu sync.Mutex
			var told []error
			s := subscribe(t, p, "reader", subscription.TxHandler(j.tx), &subscription.Config{
				Shards: 4, Observer: errorsTold(func(err error) { mu.Lock(); told = append(told, err); mu.Unlock() }),
			})
			keepRunning(t, p, s)
			ctx, cancel := context.WithCancel(b.ctx)
			done := start(func() (n int, err error) {
				for ; err == nil; n++ {
					for _, e := range p.repo.ReadLog(ctx, eventstream.LogOptions{}) {
						err = errors.Join(err, e)
					}
				}
				if ctx.Err() != nil {
					return n, nil
				}
				return n, err
			})
			rounds(t, p, 100, "a-1", "b-1", "c-1", "d-1")
			require.Len(t, j.waitCount(t, b.ctx, 400), 400)
			cancel()
			reads := <-done
			require.NoError(t, reads.err)
			mu.Lock()
			defer mu.Unlock()
			require.Empty(t, told)
		})
	}
}
