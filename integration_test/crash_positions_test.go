package integration_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// Positions that were drawn and rolled back are given out again after a crash. No reader that saw the log stable above them passes what has
// these positions now: a subscription of each kind, and a loop that goes on after the last event that it read.
func TestStablePositionsAreGivenOutAgainAfterACrash(t *testing.T) {
	t.Parallel()
	c := startDurable(t)
	withHandled(t, c.bundle)
	cursor := &cursor{t: t, c: c}
	given(t, c.bundle, "before-1", 1)
	cursor.readOn()
	// While nobody keeps a stable position, which flushes all that is before it, what was rolled back leaves no trace.
	require.Less(t, burnAndCrash(t, c, "nobody-1"), int64(201))
	given(t, c.bundle, "again-1", 300)
	cursor.readOn()

	effects := newJournal()
	keepRunning(t, c.bundle, subscribe(t, c.bundle, "tx", subscription.TxHandler(
		func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
			return writeHandled(ctx, tx, events)
		}), nil))
	keepRunning(t, c.bundle, subscribe(t, c.bundle, "effects", subscription.EffectHandler(effects.effect), nil))
	for round := range 4 {
		burnAndCrash(t, c, eventstream.StreamID(fmt.Sprintf("burnt-%d", round)))
		given(t, c.bundle, eventstream.StreamID(fmt.Sprintf("after-%d", round)), 300)
		cursor.readOn()
	}
	require.Equal(t, number(t, c.ctx, c.pool, `SELECT count(*) FROM eventstream.events`), int64(cursor.count))
	awaitSQL(t, c.bundle, "0", `SELECT count(*)::text FROM eventstream.events AS e
		WHERE NOT EXISTS (SELECT FROM public.handled AS h WHERE h.position = e.position)`)
	requireHandledOnce(t, c.bundle)
	effects.waitEach(t, c.ctx, readAll(t, c.repo.ReadLog(c.ctx, eventstream.LogOptions{})))
	keep(t, c.bundle)
	requireAuditClean(t, c.bundle)
}

// burnAndCrash draws 200 positions, rolls back, and crashes when the log is stable above them. It returns the last position that the
// server remembers.
func burnAndCrash(t *testing.T, c *cluster, stream eventstream.StreamID) int64 {
	t.Helper()
	before := drawn(t, c.bundle)
	burn := newActor(t, c.bundle)
	_, err := burn.repo.Append(c.ctx, stream, eventstream.Any, someEvents(t, 200)...)
	require.NoError(t, err)
	burn.end(t, c.bundle, false)
	require.Equal(t, before+200, number(t, c.ctx, c.pool, `SELECT eventstream.stable_position()`))
	crash(t, c)
	return drawn(t, c.bundle)
}

// cursor reads the log on and on, each time after the last event of the time before.
type cursor struct {
	t     *testing.T
	c     *cluster
	at    int64
	count int
}

func (r *cursor) readOn() {
	r.t.Helper()
	for _, e := range readAll(r.t, r.c.repo.ReadLog(r.c.ctx, eventstream.LogOptions{From: eventstream.FromPosition(r.at + 1)})) {
		require.Greater(r.t, e.Position, r.at)
		r.at = e.Position
		r.count++
	}
}

// waitEach waits until the handler got each of the events, whatever the number of times.
func (j *journal) waitEach(t testing.TB, ctx context.Context, events []eventstream.LogEvent) { //nolint:revive // t first
	t.Helper()
	for count := len(events); ; count++ {
		got := map[int64]bool{}
		for _, e := range j.waitCount(t, ctx, count) {
			got[e.Position] = true
		}
		if !slices.ContainsFunc(events, func(e eventstream.LogEvent) bool { return !got[e.Position] }) {
			return
		}
	}
}
