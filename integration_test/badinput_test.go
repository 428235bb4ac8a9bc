package integration_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Values that break a rule are refused by Go before anything is sent, and by the database whoever sends them.
func TestBadValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	event := func(change func(e *eventstream.Event)) eventstream.Event {
		e := anEvent(t, 1)
		change(&e)
		return e
	}
	good := anEvent(t, 1)
	long := strings.Repeat("x", 129)
	for name, c := range map[string]struct {
		id    eventstream.StreamID
		event eventstream.Event
	}{
		"StreamEmpty":       {"", good},
		"StreamTooLong":     {eventstream.StreamID(long), good},
		"StreamNotUTF8":     {"order-\xff", good},
		"StreamWithNUL":     {"order-\x00", good},
		"StreamSpaceBefore": {" order-1", good},
		"StreamSpaceAfter":  {"order-1\u3000", good},
		"StreamNewline":     {"order\n1", good},
		"TypeEmpty":         {"order-1", event(func(e *eventstream.Event) { e.Type = "" })},
		"TypeTooLong":       {"order-1", event(func(e *eventstream.Event) { e.Type = eventstream.EventType(long) })},
		"TypeSpaceAfter":    {"order-1", event(func(e *eventstream.Event) { e.Type = "order.placed " })},
		"TypeNewline":       {"order-1", event(func(e *eventstream.Event) { e.Type = "order\nplaced" })},
		"TypeNotUTF8":       {"order-1", event(func(e *eventstream.Event) { e.Type = "order\xff" })},
		"TenantWithSpace":   {"order-1", event(func(e *eventstream.Event) { e.TenantID = "acme " })},
		"TenantTooLong":     {"order-1", event(func(e *eventstream.Event) { e.TenantID = eventstream.TenantID(long) })},
		"NoID":              {"order-1", event(func(e *eventstream.Event) { e.ID = uuid.Nil })},
		"NoTime":            {"order-1", event(func(e *eventstream.Event) { e.OccurredAt = time.Time{} })},
		"TimeTooLate":       {"order-1", event(func(e *eventstream.Event) { e.OccurredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })},
		"NeitherPayload":    {"order-1", event(func(e *eventstream.Event) { e.Payload = nil })},
		"PayloadEmpty":      {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage{} })},
		"PayloadNotJSON":    {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage(`{"n": }`) })},
		"PayloadNaN":        {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage(`NaN`) })},
		"PayloadTwo":        {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage(`1 2`) })},
		"PayloadNUL":        {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage(`"a\u0000b"`) })},
		"PayloadNULInKey":   {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage(`{"\u0000": 1}`) })},
		"PayloadSurrogate":  {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage(`"\ud800"`) })},
		"PayloadNotUTF8":    {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage("\"\xff\"") })},
		"PayloadHugeNumber": {"order-1", event(func(e *eventstream.Event) { e.Payload = json.RawMessage(`1e200000`) })},
		"MetadataNotObject": {"order-1", event(func(e *eventstream.Event) { e.Metadata = json.RawMessage(`[1]`) })},
		"MetadataNUL":       {"order-1", event(func(e *eventstream.Event) { e.Metadata = json.RawMessage(`{"a": "\u0000"}`) })},
	} {
		numberedEvent := c.event
		numberedEvent.Version = 1
		for call, err := range map[string]error{
			"Append": second(b.repo.Append(b.ctx, c.id, eventstream.Any, c.event)),
			"AppendMany": second(b.repo.AppendMany(b.ctx,
				eventstream.AppendRequest{StreamID: "good-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
				eventstream.AppendRequest{StreamID: c.id, Expected: eventstream.Any, Events: []eventstream.Event{c.event}})),
			"Ingest": second(b.repo.Ingest(b.ctx, c.id, numberedEvent)),
		} {
			require.ErrorIs(t, err, eventstream.ErrInvalidValue, "%s %s", name, call)
			require.Less(t, len(err.Error()), 600, "errors stay short")
			require.False(t, eventstream.SafeToRetry(err))
		}
	}
	for name, payload := range map[string]any{
		"NaN": math.NaN(), "Inf": math.Inf(1), "Chan": make(chan int), "NUL": "a\x00b", "NotUTF8": "\xff",
		"Nested": map[string]any{"a": []float64{1, math.NaN()}}, "NotJSON": json.RawMessage(`{`),
	} {
		_, err := eventstream.NewEvent("order.placed", payload)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
	}

	// The same from psql: bound as text, so that the server has the word.
	for name, c := range map[string]struct{ stream, kind, payload, state string }{
		"StreamEmpty":       {"", "a.b", `1`, "ES008"},
		"StreamTooLong":     {long, "a.b", `1`, "ES008"},
		"StreamNotUTF8":     {"order-\xff", "a.b", `1`, "22021"},
		"StreamWithNUL":     {"order-\x00", "a.b", `1`, "22021"},
		"StreamSpaceBefore": {" order-1", "a.b", `1`, "ES008"},
		"StreamSpaceAfter":  {"order-1\u3000", "a.b", `1`, "ES008"},
		"TypeEmpty":         {"order-1", "", `1`, "ES008"},
		"TypeTooLong":       {"order-1", long, `1`, "ES008"},
		"TypeSpaceAfter":    {"order-1", "a.b ", `1`, "ES008"},
		"TypeNewline":       {"order-1", "a\nb", `1`, "ES008"},
		"PayloadNotJSON":    {"order-1", "a.b", `{"n": }`, "22P02"},
		"PayloadNaN":        {"order-1", "a.b", `NaN`, "22P02"},
		"PayloadNUL":        {"order-1", "a.b", `"\u0000"`, "22P05"},
		"PayloadEmpty":      {"order-1", "a.b", ``, "22P02"},
	} {
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.append($1::text, $2::text, $3::text::jsonb)`, c.stream, c.kind, c.payload)
		requireSQLState(t, err, c.state)
		_, err = b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			VALUES ($1::text, 1, 1, $2::text, $3::text::jsonb)`, c.stream, c.kind, c.payload)
		requireSQLState(t, err, c.state)
		_, err = b.pool.Exec(b.ctx, `SELECT * FROM eventstream.ingest($1::text, '{1}', ARRAY[gen_random_uuid()],
			ARRAY[$2::text], ARRAY[$3::text::jsonb])`, c.stream, c.kind, c.payload)
		requireSQLState(t, err, c.state)
		require.NotEmpty(t, name)
	}
	count, err := b.repo.CountStreams(b.ctx, eventstream.StreamFilter{})
	require.NoError(t, err)
	require.Zero(t, count)
}

func second[T any](_ T, err error) error { return err }

// Arguments of append_batch and ingest that do not fit together are an ES008 that says which, not a crash or half a batch.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id = `ARRAY[gen_random_uuid()]`
	for _, call := range []string{
		`append_batch('{}', '{}', '{}', '{}', '{}', '{}')`,
		`append_batch(NULL, NULL, NULL, NULL, NULL, NULL)`,
		`append_batch('{s-1}', '{-1}', '{0}', '{}', '{}', '{}')`,
		`append_batch('{s-1}', '{-1}', '{2}', ` + id + `, '{a.b}', '{1}')`,
		`append_batch('{s-1}', '{-1}', '{-1}', ` + id + `, '{a.b}', '{1}')`,
		`append_batch('{s-1}', '{-4}', '{1}', ` + id + `, '{a.b}', '{1}')`,
		`append_batch('{s-1}', '{NULL}', '{1}', ` + id + `, '{a.b}', '{1}')`,
		`append_batch('{NULL}', '{-1}', '{1}', ` + id + `, '{a.b}', '{1}')`,
		`append_batch('{s-1,s-2}', '{-1,-1}', '{1}', ` + id + `, '{a.b}', '{1}')`,
		`append_batch('{s-1,s-2}', '{-1,-1}', '{1,1}', ` + id + `, '{a.b}', '{1}')`,
		`append_batch('{s-1,s-2}', '{-1,-1}', '{3,-1}', NULL, '{a.b,a.b}', '{1,1}')`,
		`append_batch('{s-1,NULL}', '{-1,-1}', '{1,1}', NULL, '{a.b,a.b}', '{1,1}')`,
		`append_batch('{s-1}', '{-1}', '{1}', ` + id + `, '{a.b}', '{1,2}')`,
		`append_batch('{s-1}', '{-1}', '{1}', ` + id + `, '{a.b}', '{1}', p_data => '{NULL,NULL}')`,
		`append_batch('{s-1}', '{-1}', '{1}', ` + id + `, '{a.b}', '{1}', p_tenant_ids => '{a,b}')`,
		`append_batch('{s-1}', '{-1}', '{1}', ` + id + `, '{a.b}', '{1}', p_metadata => '{[1]}')`,
		`append_batch('{s-1}', '{-1}', '{1}', ` + id + `, '{a.b}', '{1}', p_tenant_ids => '{"a b"}')`,
		`append_batch('{s-1}', '{-1}', '{1}', ` + id + `, '{a.b}', '{1}', p_occurred_at => '{infinity}')`,
		`ingest('s-1', '{}', '{}', '{}', '{}')`,
		`ingest('s-1', NULL, NULL, NULL, NULL)`,
		`ingest(NULL, '{1}', ` + id + `, '{a.b}', '{1}')`,
		`ingest('s-1', '{0}', ` + id + `, '{a.b}', '{1}')`,
		`ingest('s-1', '{NULL}', ` + id + `, '{a.b}', '{1}')`,
		`ingest('s-1', '{1,2}', ` + id + `, '{a.b,a.b}', '{1,1}')`,
		`ingest('s-1', '{1}', '{NULL}', '{a.b}', '{1}')`,
		`ingest('s-1', '{1}', ` + id + `, '{a.b}', '{1,1}')`,
	} {
		_, err := b.pool.Exec(b.ctx, `SELECT * FROM eventstream.`+call)
		refusal := requireSQLState(t, err, "ES008")
		require.NotEmpty(t, refusal.Hint, call)
		require.True(t, json.Valid([]byte(refusal.Detail)), "%s: %s", call, refusal.Detail)
	}
	_, err := b.pool.Exec(b.ctx, `SELECT * FROM eventstream.append_batch('{s-1}', '{-1}', '{1}', NULL, '{a.b}', '{1}',
		p_partition_ids => '{32}')`)
	requireSQLState(t, err, "ES007")

	for name, err := range map[string]error{
		"NoEvents":     second(b.repo.Append(b.ctx, "s-1", eventstream.Any)),
		"NoRequests":   second(b.repo.AppendMany(b.ctx)),
		"NoExpected":   second(b.repo.Append(b.ctx, "s-1", nil, anEvent(t, 1))),
		"Negative":     second(b.repo.Append(b.ctx, "s-1", eventstream.Exact(-1), anEvent(t, 1))),
		"Beyond":       second(b.repo.Append(b.ctx, "s-1", eventstream.Any+1, anEvent(t, 1))),
		"IngestNone":   second(b.repo.Ingest(b.ctx, "s-1")),
		"IngestNoVers": second(b.repo.Ingest(b.ctx, "s-1", anEvent(t, 1))),
		"OneEmpty": second(b.repo.AppendMany(b.ctx,
			eventstream.AppendRequest{StreamID: "s-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
			eventstream.AppendRequest{StreamID: "s-2", Expected: eventstream.Any})),
	} {
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, err, &invalid, name)
		require.NotEmpty(t, invalid.Rule, name)
	}
	_, err = b.repo.Append(b.ctx, "s-1", eventstream.Any, func() eventstream.Event { e := anEvent(t, 1); e.StreamID = "s-2"; return e }())
	require.ErrorIs(t, err, eventstream.ErrStreamMismatch)
	count, err := b.repo.CountStreams(b.ctx, eventstream.StreamFilter{})
	require.NoError(t, err)
	require.Zero(t, count)
}

// 100,000 events in one call is the documented limit: that many work, one more is a clear error, by Go and by SQL.
func TestEventsPerCallLimit(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	one := anEvent(t, 1)
	tooMany := make([]eventstream.Event, eventstream.MaxEventsPerCall+1)
	for i := range tooMany {
		tooMany[i] = one
		tooMany[i].ID[14], tooMany[i].ID[15], tooMany[i].ID[13] = byte(i), byte(i>>8), byte(i>>16)
		tooMany[i].Version = int64(i + 1)
	}
	refused := untouched(t, b)
	for name, err := range map[string]error{
		"Append": second(b.repo.Append(b.ctx, "big-1", eventstream.Empty, tooMany...)),
		"AppendMany": second(b.repo.AppendMany(b.ctx,
			eventstream.AppendRequest{StreamID: "big-1", Expected: eventstream.Any, Events: tooMany[:60_000]},
			eventstream.AppendRequest{StreamID: "big-2", Expected: eventstream.Any, Events: tooMany[60_000:]})),
		"Ingest": second(b.repo.Ingest(b.ctx, "big-1", tooMany...)),
	} {
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		require.ErrorContains(t, err, "100001", name)
		require.ErrorContains(t, err, "from 1 to 100000 in one call: split the call", name)
	}
	for _, call := range []string{
		`append_batch('{big-1}', '{-1}', '{100001}', NULL, (SELECT array_agg('a.b'::text) FROM generate_series(1, 100001)), NULL)`,
		`append_batch('{big-1,big-2}', '{-1,-1}', '{100000,1}', NULL, (SELECT array_agg('a.b'::text) FROM generate_series(1, 100001)), NULL)`,
		`ingest('big-1', (SELECT array_agg(v) FROM generate_series(1, 100001) AS v), '{}', '{}', NULL)`,
	} {
		_, err := b.pool.Exec(b.ctx, `SELECT * FROM eventstream.`+call)
		refusal := requireSQLState(t, err, "ES008")
		require.Contains(t, refusal.Message, "at most 100000 in one call")
		require.Less(t, len(refusal.Message), 300)
	}
	refused()

	result, err := b.repo.Append(b.ctx, "big-1", eventstream.Empty, tooMany[:eventstream.MaxEventsPerCall]...)
	require.NoError(t, err)
	require.Equal(t, int64(100_000), result.LastVersion)
	require.Equal(t, int64(100_000), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	requireAuditClean(t, b)
}

// A payload of 20 MiB goes in and comes back. A busy machine with the race detector takes a minute for it.
func TestPayloadOf20MiB(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*testTimeout)
	defer cancel()
	text := strings.Repeat("0123456789abcdef", 20<<20/16)
	e, err := eventstream.NewEvent("big.stored", text)
	require.NoError(t, err)
	_, err = b.repo.Append(ctx, "big-1", eventstream.Empty, e)
	require.NoError(t, err)
	got, err := b.repo.Event(ctx, e.ID)
	require.NoError(t, err)
	payload, err := eventstream.DecodePayload[string](got)
	require.NoError(t, err)
	require.True(t, text == payload, "the same 20 MiB")
}

// A cancelled context, and a deadline that ends while the call waits for another writer: nothing is half done.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 1)
	cancelled, cancel := context.WithCancel(b.ctx)
	cancel()
	refused := untouched(t, b)
	for name, err := range map[string]error{
		"Append": second(b.repo.Append(cancelled, "order-1", eventstream.Any, anEvent(t, 1))),
		"Ingest": second(b.repo.Ingest(cancelled, "order-1", numbered(t, 2)[1])),
		"Load":   second(b.repo.Load(cancelled, "order-1")),
		"Count":  second(b.repo.CountStreams(cancelled, eventstream.StreamFilter{})),
	} {
		require.ErrorIs(t, err, context.Canceled, name)
		require.False(t, eventstream.SafeToRetry(err), name)
	}
	refused()

	holder := newActor(t, b)
	_, err := holder.repo.Append(b.ctx, "order-1", eventstream.Exact(1), anEvent(t, 2))
	require.NoError(t, err)
	waiter := session(t, b)
	pid := waiter.PgConn().PID()
	deadline, cancel := context.WithCancel(b.ctx)
	defer cancel()
	waiting := start(func() ([]eventstream.AppendResult, error) {
		return repoOn(t, waiter).AppendMany(deadline,
			eventstream.AppendRequest{StreamID: "a-new", Expected: eventstream.Empty, Events: someEvents(t, 1)},
			eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: someEvents(t, 1)})
	})
	waitBlocked(t, b, pid, holder.pid())
	cancel()
	got := <-waiting
	require.ErrorIs(t, got.err, context.Canceled)
	require.False(t, eventstream.SafeToRetry(got.err))
	require.Eventually(t, func() bool {
		return number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1`, pid) == 0
	}, 30*time.Second, 10*time.Millisecond, "the server gives the call up too")
	holder.end(t, b, true)
	_, err = b.repo.Stream(b.ctx, "a-new")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
	require.Equal(t, []int64{1, 2}, versionsOf(readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}))))

	short, cancel := context.WithTimeout(b.ctx, time.Nanosecond)
	defer cancel()
	_, err = b.repo.Append(short, "order-1", eventstream.Any, anEvent(t, 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireAuditClean(t, b)
}

// A pool or connection that is closed gives an error at once, and no panic.
func TestClosedHandle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pool := newPool(t, b.dsn)
	pool.Close()
	conn := session(t, b)
	require.NoError(t, conn.Close(b.ctx))
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(b.ctx))
	for name, handle := range map[string]eventstream.Handle{"Pool": pool, "Conn": conn, "Tx": tx} {
		repo := repoOn(t, handle)
		for call, err := range map[string]error{
			"Append": second(repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))),
			"Ingest": second(repo.Ingest(b.ctx, "order-1", numbered(t, 1)[0])),
			"Load":   second(repo.Load(b.ctx, "order-1")),
			"Audit":  second(repo.Audit(b.ctx)),
		} {
			require.Error(t, err, "%s %s", name, call)
			require.NotErrorIs(t, err, eventstream.ErrStreamNotFound)
		}
		for _, err := range repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}) {
			require.Error(t, err)
		}
	}
	_, err = repoOn(t, tx).Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))
	require.ErrorIs(t, err, pgx.ErrTxClosed)
}

// A database without the schema: every method says so, and which command installs it.
func TestDatabaseWithoutTheSchema(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	repo := repoOn(t, newPool(t, dsn))
	ctx := t.Context()
	stream := eventstream.New("order-1")
	_, err := stream.AppendEvent(anEvent(t, 1))
	require.NoError(t, err)
	for name, err := range map[string]error{
		"Append":       second(repo.Append(ctx, "order-1", eventstream.Any, anEvent(t, 1))),
		"AppendMany":   second(repo.AppendMany(ctx, eventstream.AppendRequest{StreamID: "a", Expected: eventstream.Any, Events: someEvents(t, 1)})),
		"Ingest":       second(repo.Ingest(ctx, "order-1", numbered(t, 1)[0])),
		"Advance":      second(repo.AdvanceWatermark(ctx, "order-1")),
		"Load":         second(repo.Load(ctx, "order-1")),
		"GetOrCreate":  second(repo.GetOrCreate(ctx, "order-1")),
		"Save":         second(repo.Save(ctx, stream)),
		"Event":        second(repo.Event(ctx, uuid.New())),
		"Stream":       second(repo.Stream(ctx, "order-1")),
		"Watermark":    second(repo.Watermark(ctx, "order-1")),
		"Verify":       repo.VerifyGapless(ctx, "order-1"),
		"CountStreams": second(repo.CountStreams(ctx, eventstream.StreamFilter{})),
		"Stats":        second(repo.PartitionStats(ctx)),
		"Audit":        second(repo.Audit(ctx)),
	} {
		require.ErrorIs(t, err, eventstream.ErrNotMigrated, name)
		require.ErrorContains(t, err, "migrations.Up", name)
		require.ErrorContains(t, err, "goose -dir migrations -table eventstream.goose_db_version", name)
		require.False(t, eventstream.SafeToRetry(err))
	}
	for _, err := range repo.Read(ctx, "order-1", eventstream.ReadOptions{}) {
		require.ErrorIs(t, err, eventstream.ErrNotMigrated)
	}
	for _, err := range repo.Streams(ctx, eventstream.StreamFilter{}) {
		require.ErrorIs(t, err, eventstream.ErrNotMigrated)
	}
}

// A read-only session, as on a standby: writes say so, reads work.
func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 3)
	conn := session(t, b)
	execSQL(t, b.ctx, conn, `SET default_transaction_read_only = on`)
	repo := repoOn(t, conn)
	// What waits, and is ready.
	waiting := numbered(t, 2)
	_, err := b.repo.Ingest(b.ctx, "ready-1", waiting[1])
	require.NoError(t, err)
	execSQL(t, b.ctx, b.pool, rawInsert, "ready-1", 1)
	unchanged := untouched(t, b)
	for name, err := range map[string]error{
		"Append":    second(repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))),
		"AppendNew": second(repo.Append(b.ctx, "order-2", eventstream.Any, anEvent(t, 1))),
		"Many": second(repo.AppendMany(b.ctx,
			eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
			eventstream.AppendRequest{StreamID: "order-2", Expected: eventstream.Any, Events: someEvents(t, 1)})),
		"Ingest":  second(repo.Ingest(b.ctx, "order-1", numbered(t, 4)[3])),
		"Advance": second(repo.AdvanceWatermark(b.ctx, "ready-1")),
	} {
		require.ErrorIs(t, err, eventstream.ErrReadOnly, name)
		requireSQLState(t, err, "25006")
		require.False(t, eventstream.SafeToRetry(err))
	}
	watermark, err := repo.AdvanceWatermark(b.ctx, "order-1")
	require.NoError(t, err, "nothing waits, nothing is written")
	require.EqualValues(t, 3, watermark)
	unchanged()
	stream, err := repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, len(events), stream.EventCount())
	_, err = b.repo.AdvanceWatermark(b.ctx, "ready-1")
	require.NoError(t, err)
	findings, err := repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Empty(t, findings)
}

func TestNewRepositoryRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := eventstream.NewRepository(nil, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.ErrorContains(t, err, "handle")
	for _, size := range []int{-1, 100_001} {
		_, err = eventstream.NewRepository(b.pool, &eventstream.Config{PageSize: size})
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
		require.ErrorContains(t, err, "Config.PageSize")
		require.ErrorContains(t, err, "from 1 to 100000")
	}
	for _, config := range []*eventstream.Config{nil, {}, {PageSize: 1}, {PageSize: 100_000}} {
		_, err = eventstream.NewRepository(b.pool, config)
		require.NoError(t, err)
	}
}
