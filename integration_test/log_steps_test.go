package integration_test

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// unnumbered fills a store with events of several streams that nobody has numbered.
func unnumbered(t testing.TB, b *bundle, count, streams int) {
	t.Helper()
	_, err := b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id)
		SELECT s.id, v.n, 'order.placed', '{}', eventstream.partition_of(s.id, 32)
		FROM (SELECT 'order-' || g AS id FROM generate_series(1, $2::integer) AS g) AS s
		CROSS JOIN generate_series(1, $1::integer / $2::integer) AS v (n)
		ORDER BY v.n, s.id`, count, streams)
	require.NoError(t, err)
}

// slowMarks makes each mark of the log cost 50 ms, as a slow disk would.
const slowMarks = `
	CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
	CREATE TRIGGER slow BEFORE INSERT ON eventstream.log_marks FOR EACH ROW EXECUTE FUNCTION public.slow()`

const brokenMarks = `
	CREATE FUNCTION public.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left'; END $$;
	CREATE TRIGGER broken BEFORE INSERT ON eventstream.log_marks FOR EACH STATEMENT EXECUTE FUNCTION public.broken()`

// Numbering takes far longer than a statement may: each step is kept all the same, and so all gets numbered.
func TestLogNumbersInStepsThatAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unnumbered(t, b, 40_000, 40) // 39 marks, or about 2 s
	require.NoError(t, simpleErr(b.ctx, session(t, b), slowMarks))
	conn := session(t, b)
	execSQL(t, b.ctx, conn, `SET statement_timeout = '1s'`)
	for kept := int64(0); kept < 40_000; {
		execSQL(t, b.ctx, conn, advance)
		next := number(t, b.ctx, conn, keptPlace)
		require.Greater(t, next, kept, "each call keeps more")
		kept = next
	}
	requireAuditClean(t, b)
}

// A reader whose statements may take a second reads a log that takes longer to number, wherever it begins.
func TestLogReadsWhatTakesLongToNumber(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]eventstream.LogOptions{
		"from the beginning": {},
		"backwards":          {Backwards: true, Limit: 3000},
		"from a number":      {From: eventstream.FromSequence(39_001)},
		"from a position":    {From: eventstream.FromPosition(39_001)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			unnumbered(t, b, 40_000, 40)
			require.NoError(t, simpleErr(b.ctx, session(t, b), slowMarks))
			p := anotherProcess(t, b, nil, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["statement_timeout"] = "1s" })
			events := readAll(t, p.repo.ReadLog(b.ctx, opts))
			for _, e := range events {
				require.Equal(t, e.Position, e.Sequence)
			}
			want := map[string]int{"from the beginning": 40_000, "backwards": 3000}[name]
			if want == 0 {
				want = 1000
			}
			require.Len(t, events, want)
			if name != "from the beginning" {
				// How far that comes in its time depends on the machine.
				require.Positive(t, number(t, b.ctx, b.pool, keptPlace), "some of what it began behind was numbered first, and kept")
			}
		})
	}
}

// Housekeeping that fails is no error of a reader's, nor of a subscription, which tells of it and keeps its shards.
func TestLogIsReadThoughNothingCanBeKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unnumbered(t, b, 3000, 10)
	require.NoError(t, simpleErr(b.ctx, session(t, b), brokenMarks))
	p := anotherProcess(t, b, lively)
	for _, opts := range []eventstream.LogOptions{{}, {Backwards: true}, {From: eventstream.FromSequence(1)}} {
		require.Len(t, readAll(t, p.repo.ReadLog(b.ctx, opts)), 3000)
	}
	head, err := p.repo.LogHead(b.ctx)
	require.NoError(t, err)
	require.Equal(t, eventstream.LogHead{Position: 3000, Sequence: 3000}, head)
	var mu sync.Mutex
	told := 0
	j := newJournal()
	s := subscribe(t, p, "reader", subscription.TxHandler(j.tx), &subscription.Config{
		Shards: 2, Filter: eventstream.LogFilter{Category: "order"},
		Observer: errorsTold(func(error) { mu.Lock(); told++; mu.Unlock() }),
	})
	keepRunning(t, p, s)
	require.Len(t, j.waitCount(t, b.ctx, 3000), 3000)
	given(t, b, "other-1", 1) // for nobody: its checkpoint moves by the poller
	require.NoError(t, s.WaitFor(b.ctx, drawn(t, b)))
	lag, err := s.Lag(b.ctx)
	require.NoError(t, err)
	require.Zero(t, lag[0].Events+lag[1].Events)
	mu.Lock()
	defer mu.Unlock()
	require.Positive(t, told)
	require.Zero(t, number(t, b.ctx, b.pool, keptPlace))
}
