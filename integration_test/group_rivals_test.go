package integration_test

import (
	"context"
	"regexp"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
)

// writesSeen notes which queries append.
type writesSeen struct {
	mu    sync.Mutex
	names []string
}

var appendQuery = regexp.MustCompile(`^-- name: ((?:Tenant)?Append\w+)`)

func (w *writesSeen) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if m := appendQuery.FindStringSubmatch(data.SQL); m != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.names = append(w.names, m[1])
	}
	return ctx
}

func (w *writesSeen) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// take gives what was seen since the last time.
func (w *writesSeen) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := w.names
	w.names = nil
	return names
}

// rivalCase is calls that are one batch for the hot stream, which is at version 2 then, and what they are sent as.
type rivalCase struct {
	calls []attempt
	sent  []string
}

func rivalCases(t *testing.T, stored, elsewhere eventstream.Event) map[string]rivalCase {
	t.Helper()
	call := func(name string, expected eventstream.Expected, events ...eventstream.Event) attempt {
		return attempt{name: name, expected: expected, events: events}
	}
	lost := func(name string, expected eventstream.Expected, events ...eventstream.Event) attempt {
		return attempt{name: name, expected: expected, events: events, refused: eventstream.ErrVersionConflict}
	}
	tagged := anEvent(t, 1, eventstream.WithTags("seat-1"))
	twin := anEvent(t, 1)
	first, all := "AppendEventFirst", "AppendBatch"
	return map[string]rivalCase{
		"one wins": {[]attempt{
			call("wins", eventstream.Exact(2), anEvent(t, 1)), lost("loses", eventstream.Exact(2), anEvent(t, 2)),
			lost("is far behind", eventstream.Exact(0), someEvents(t, 3)...), lost("is ahead", eventstream.Exact(9), anEvent(t, 3)),
		}, []string{first}},
		"one with a tag wins": {[]attempt{
			call("wins", eventstream.Exact(2), tagged), lost("loses", eventstream.Exact(2), anEvent(t, 2)),
		}, []string{first}},
		"none wins": {[]attempt{
			lost("first", eventstream.Exact(1), anEvent(t, 1)), lost("second", eventstream.Exact(1), anEvent(t, 2)),
		}, []string{first, all}},
		"the second wins": {[]attempt{
			lost("first", eventstream.Exact(7), anEvent(t, 1)), call("second", eventstream.Exact(2), anEvent(t, 2)),
		}, []string{first, all}},
		"a repetition": {[]attempt{
			call("wins", eventstream.Exact(2), anEvent(t, 1)), call("repeats", eventstream.Exact(0), stored),
			lost("loses", eventstream.Exact(2), anEvent(t, 2)),
		}, []string{first, all}},
		"a repetition comes first": {[]attempt{
			call("repeats", eventstream.Exact(0), stored), call("wins", eventstream.Exact(2), anEvent(t, 1)),
		}, []string{first, all}},
		"an id of another stream": {[]attempt{
			call("wins", eventstream.Exact(2), anEvent(t, 1)),
			{name: "takes an id", expected: eventstream.Exact(2), events: []eventstream.Event{elsewhere}, refused: eventstream.ErrEventIDConflict},
		}, []string{first, all, "AppendEvent", "AppendEvent"}},
		"the same append twice": {[]attempt{
			call("wins", eventstream.Exact(2), twin), call("repeats", eventstream.Exact(2), twin), lost("loses", eventstream.Exact(2), anEvent(t, 2)),
		}, []string{all, "AppendEvent", first, all}},
		"one after the other": {[]attempt{
			call("first", eventstream.Exact(2), anEvent(t, 1)), call("second", eventstream.Exact(3), anEvent(t, 2)),
		}, []string{all}},
		"any version": {[]attempt{
			call("first", eventstream.Exact(2), anEvent(t, 1)), call("second", eventstream.Any, anEvent(t, 2)),
		}, []string{all}},
		"of another tenant": {[]attempt{
			call("first", eventstream.Exact(2), anEvent(t, 1)),
			{
				name: "second", expected: eventstream.Exact(2), events: someEvents(t, 1, eventstream.WithTenant("b")),
				refused: eventstream.ErrTenantMismatch,
			},
		}, []string{all}},
		"two events": {[]attempt{
			call("first", eventstream.Exact(2), someEvents(t, 2)...), lost("second", eventstream.Exact(2), anEvent(t, 2)),
		}, []string{all}},
	}
}

// Of a batch of which one call can win, the winner is sent alone, and every call gets what it gets where each commits by itself: the same
// result, or the same error in the same words. What cannot be told that way is sent as a whole.
func TestGroupRivalsGetWhatTheyGetOneByOne(t *testing.T) {
	t.Parallel()
	stored, elsewhere := anEvent(t, 1), anEvent(t, 1)
	for name, c := range rivalCases(t, stored, elsewhere) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := &writesSeen{}
			alone := setup(t)
			b := setup(t, withMaxConns(24), func(c *pgxpool.Config) { c.ConnConfig.Tracer = seen })
			for _, store := range []*bundle{alone, b} {
				for id, event := range map[eventstream.StreamID]eventstream.Event{hot: stored, "other-1": elsewhere} {
					_, err := store.repo.Append(store.ctx, id, eventstream.Empty, event)
					require.NoError(t, err)
				}
			}
			seen.take()
			requireSameInOneBatch(t, alone, b, anEvent(t, 2), c.calls)
			// The append before the batch went by itself.
			require.Equal(t, append([]string{"AppendEvent"}, c.sent...), seen.take())
			require.Equal(t, texts(t, alone, storedEvents), texts(t, b, storedEvents))
		})
	}
}

const storedEvents = `SELECT format('%s %s %s', stream_id, version, event_id) FROM eventstream.events ORDER BY 1`

// What commits while append_event waits for the stream is seen: a rival that is stored by then is a repetition, and nothing is done.
func TestRaceRivalThatCommitsMeanwhileIsSeen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, hot, 1)
	holder, rival := hold(t, b, hot), anEvent(t, 1)
	p := db.AppendEventFirstParams{
		StreamID: string(hot), Expected: 1, EventID: anEvent(t, 2).ID.String(), Type: "tested.appended", OccurredAt: rival.OccurredAt,
		RivalIds: []string{rival.ID.String()},
	}
	done := start(func() (db.AppendEventFirstRow, error) { return db.New().AppendEventFirst(b.ctx, b.pool, p) })
	awaitSQL(t, b, "1", `SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	_, err := b.repo.WithTx(holder.tx).Append(b.ctx, "other-1", eventstream.Empty, rival)
	require.NoError(t, err)
	require.NoError(t, holder.tx.Commit(b.ctx))
	result := <-done
	require.NoError(t, result.err)
	require.Equal(t, db.AppendEventFirstRow{Request: 1}, result.value)
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE stream_id = 'hot-1'`))

	p.RivalIds = []string{anEvent(t, 3).ID.String()}
	row, err := db.New().AppendEventFirst(b.ctx, b.pool, p)
	require.NoError(t, err)
	require.Equal(t, "appended", row.Outcome)
	require.Equal(t, int64(2), row.LastVersion)
}
