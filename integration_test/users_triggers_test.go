package integration_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Triggers of the user's on events: they may refuse, and they may append to other streams; what they cannot do is to make an append look
// done that is not.

const dropping = `
	CREATE FUNCTION public.drop_some() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		RETURN CASE WHEN NEW.payload ->> 'n' = '2' THEN NULL ELSE NEW END;
	END $$;
	CREATE TRIGGER drop_some BEFORE INSERT ON eventstream.events FOR EACH ROW EXECUTE FUNCTION public.drop_some()`

// A BEFORE ROW trigger that returns NULL drops the row. Append says so, with nothing half done, and comes to an end: for one event, for the last
// of several, for one in the middle, in a batch, and by a raw INSERT that loses all that it brought.
func TestATriggerThatDropsRowsIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 1)
	execSQL(t, b.ctx, b.pool, dropping)
	unchanged := unwritten(t, b)
	drop, keep := func() eventstream.Event { return anEvent(t, 2) }, func() eventstream.Event { return anEvent(t, 7) }
	for name, events := range map[string][]eventstream.Event{
		"One": {drop()}, "LastOfThree": {keep(), keep(), drop()}, "Middle": {keep(), drop(), keep()}, "AllOfTwo": {drop(), drop()},
	} {
		for _, id := range []eventstream.StreamID{"order-1", "new-1"} {
			for _, expected := range []eventstream.Expected{eventstream.Any, eventstream.Exact(map[eventstream.StreamID]int64{"order-1": 1}[id])} {
				_, err := b.repo.Append(b.ctx, id, expected, events...)
				refusal := requireSQLState(t, err, "ES002")
				if name != "Middle" { // which is a gap in what is left
					require.Contains(t, refusal.Message, "dropped", name)
					require.Contains(t, refusal.Hint, "trigger", name)
				}
				require.False(t, eventstream.SafeToRetry(err))
			}
		}
	}
	_, err := appendBatch(b.ctx, b.pool, false,
		request{stream: "order-1", expected: anyVersion, events: []eventstream.Event{keep()}},
		request{stream: "order-2", expected: anyVersion, events: []eventstream.Event{keep(), drop()}})
	requireSQLState(t, err, "ES002")
	conn := session(t, b)
	requireSQLState(t, simpleErr(b.ctx, conn, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		VALUES ('order-9', 1, 9, 't', '{"n": 2}')`), "ES002")
	requireSQLState(t, simpleErr(b.ctx, conn, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		VALUES ('order-9', 1, 9, 't', '{"n": 1}'), ('order-9', 2, 9, 't', '{"n": 2}'), ('order-9', 3, 9, 't', '{"n": 3}')`), "ES002")
	unchanged()

	// What it lets through goes in, in the same session and transaction.
	inTx(t, b, func(tx pgx.Tx) {
		inner, err := tx.Begin(b.ctx)
		require.NoError(t, err)
		_, err = b.repo.WithTx(inner).Append(b.ctx, "order-1", eventstream.Any, keep(), drop())
		requireSQLState(t, err, "ES002")
		require.NoError(t, inner.Rollback(b.ctx))
		_, err = b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Exact(1), keep())
		require.NoError(t, err)
	})
	execSQL(t, b.ctx, b.pool, `DROP TRIGGER drop_some ON eventstream.events`)
	requireAuditClean(t, b)
}

// appendingTriggers copy each event to a stream of the same name with copy- before it, by eventstream.append.
var appendingTriggers = map[string]string{
	"AfterRow":  `CREATE TRIGGER copies AFTER INSERT ON eventstream.events FOR EACH ROW`,
	"BeforeRow": `CREATE TRIGGER copies BEFORE INSERT ON eventstream.events FOR EACH ROW`,
	"Deferred": `CREATE CONSTRAINT TRIGGER copies AFTER INSERT ON eventstream.events
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW`,
	"Immediate": `CREATE CONSTRAINT TRIGGER copies AFTER INSERT ON eventstream.events
		DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW`,
}

const copying = `
	CREATE FUNCTION public.copy_event() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM eventstream.append('copy-' || NEW.stream_id, 'event.copied', NEW.payload);
		RETURN NEW;
	END $$;`

// A trigger of the user's appends to another stream, inside the statement or at the end of the transaction: both are there or neither, with
// versions and positions in order, and a reader of the log misses none.
func TestATriggerMayAppendToAnotherStream(t *testing.T) {
	t.Parallel()
	for name, trigger := range appendingTriggers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			execSQL(t, b.ctx, b.pool, copying+trigger+` WHEN (NEW.stream_id NOT LIKE 'copy-%') EXECUTE FUNCTION public.copy_event()`)
			for n := range 3 {
				_, err := b.repo.Append(b.ctx, "order-1", eventstream.Exact(int64(n)), anEvent(t, n))
				require.NoError(t, err)
			}
			_, err := b.repo.Append(b.ctx, "order-2", eventstream.Empty, someEvents(t, 3)...)
			require.NoError(t, err)
			_, err = b.repo.AppendMany(b.ctx,
				eventstream.AppendRequest{StreamID: "order-3", Expected: eventstream.Empty, Events: someEvents(t, 2)},
				eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Exact(3), Events: someEvents(t, 2)})
			require.NoError(t, err)
			execSQL(t, b.ctx, b.pool, rawInsert, "order-1", 6)
			_, err = b.repo.Ingest(b.ctx, "order-4", numbered(t, 2)...)
			require.NoError(t, err)

			// A transaction that is given up, and a reader who looks while one is open.
			given(t, b, "order-5", 1)
			a := newActor(t, b)
			_, err = a.repo.Append(b.ctx, "order-5", eventstream.Any, anEvent(t, 1))
			require.NoError(t, err)
			p := &passer{conn: session(t, b)}
			given(t, b, "order-6", 1)
			_, err = p.poll(b.ctx, p.conn)
			require.NoError(t, err)
			a.end(t, b, true)
			a = newActor(t, b)
			_, err = a.repo.Append(b.ctx, "order-5", eventstream.Any, anEvent(t, 1))
			require.NoError(t, err)
			a.end(t, b, false)
			_, err = p.poll(b.ctx, p.conn)
			require.NoError(t, err)
			require.EqualValues(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`), len(p.got), "a reader sees all")

			requireWatermarks(t, b.pool, "copy-order-1@6 copy-order-2@3 copy-order-3@2 copy-order-4@2 copy-order-5@2 copy-order-6@1 "+
				"order-1@6 order-2@3 order-3@2 order-4@2 order-5@2 order-6@1")
			require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events AS e
				LEFT JOIN eventstream.events AS c ON c.stream_id = 'copy-' || e.stream_id AND c.version = e.version AND c.payload = e.payload
				WHERE e.stream_id NOT LIKE 'copy-%' AND c.version IS NULL`))
			execSQL(t, b.ctx, b.pool, `DROP TRIGGER copies ON eventstream.events`)
			requireAuditClean(t, b)
		})
	}
}

// A trigger that appends to the stream in hand takes the version that the statement is about to insert: an error that ends, not a hole.
func TestATriggerThatAppendsToTheSameStream(t *testing.T) {
	t.Parallel()
	for name, trigger := range appendingTriggers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 1)
			execSQL(t, b.ctx, b.pool, `
				CREATE FUNCTION public.copy_event() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN
					PERFORM eventstream.append(NEW.stream_id, 'event.copied', NEW.payload);
					RETURN NEW;
				END $$;`+trigger+` WHEN (NEW.type <> 'event.copied') EXECUTE FUNCTION public.copy_event()`)
			_, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))
			_, several := b.repo.Append(b.ctx, "order-1", eventstream.Any, someEvents(t, 2)...)
			execSQL(t, b.ctx, b.pool, `DROP TRIGGER copies ON eventstream.events`)
			if name == "BeforeRow" {
				require.Error(t, err)
				require.Error(t, several)
				requireWatermarks(t, b.pool, "order-1@1")
			} else {
				require.NoError(t, err)
				require.NoError(t, several)
				requireWatermarks(t, b.pool, "order-1@7")
			}
			requireAuditClean(t, b)
		})
	}
}
