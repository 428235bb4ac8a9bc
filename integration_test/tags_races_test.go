package integration_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// A writer first: it has written an event that matches, by each way there is, and has not committed. The decision waits for it: if it commits,
// the decision is refused, and its transaction lives on; if it rolls back, the decision stands.
func TestTagsADecisionWaitsForAWriter(t *testing.T) {
	t.Parallel()
	for name, write := range taggedWriters(t) {
		for ending, commit := range map[string]bool{"Commits": true, "RollsBack": false} {
			t.Run(name+ending, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				writer, decider := newActor(t, b), newActor(t, b)
				at := position(t, b, byTags("course:7"))
				require.NoError(t, write(b.ctx, writer.tx, "other-1", "student:1", "course:7"))
				waiting := start(func() ([]eventstream.AppendResult, error) {
					return decide(t, b.ctx, decider.repo, byTags("course:7"), at, "mine-1")
				})
				waitBlocked(t, b, decider.pid(), writer.pid())
				writer.end(t, b, commit)
				got := <-waiting
				if commit {
					requireConflict(t, got.err, 0)
				} else {
					require.NoError(t, got.err)
				}
				_, err := decider.repo.Append(b.ctx, "beside-1", eventstream.Empty, anEvent(t, 1))
				require.NoError(t, err, "a refusal is a row, not an error")
				decider.end(t, b, true)
				requireDecisionsHold(t, b)
				requireAuditClean(t, b)
			})
		}
	}
}

// A decision first: writers of what it asked for wait until it ends, and come after it in the log.
func TestTagsAWriterWaitsForADecision(t *testing.T) {
	t.Parallel()
	for name, write := range taggedWriters(t) {
		for ending, commit := range map[string]bool{"Commits": true, "RollsBack": false} {
			t.Run(name+ending, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				writer, decider := newActor(t, b), newActor(t, b)
				decided, err := decide(t, b.ctx, decider.repo, byTags("course:7"), 0, "mine-1")
				require.NoError(t, err)
				// Nobody else waits: neither writers of other tags, nor those of none, nor readers.
				require.NoError(t, write(b.ctx, b.pool, "other-1", "course:8"))
				given(t, b, "other-2", 1)
				position(t, b, byTags("course:7"))

				waiting := start(func() (struct{}, error) { return struct{}{}, write(b.ctx, writer.tx, "other-3", "course:7") })
				waitBlocked(t, b, writer.pid(), decider.pid())
				decider.end(t, b, commit)
				require.NoError(t, (<-waiting).err)
				writer.end(t, b, true)
				if first := number(t, b.ctx, b.pool, `SELECT position FROM eventstream.events WHERE stream_id = 'other-3' AND version = 1`); commit {
					require.Greater(t, first, decided[0].LastPosition)
				}
				requireDecisionsHold(t, b)
				requireAuditClean(t, b)
			})
		}
	}
}

// The narrow one: a raw INSERT has drawn its position, and the gate has not seen it yet. A decision does not know of it, and draws a higher
// one. The INSERT is then refused, and goes through when it is tried again; if the decision rolls back, it goes through at once.
func TestTagsARowDrawnBeforeADecisionIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// ends says when the decision ends: before the gate sees the row, or while it waits for the decision.
		endsBefore, commit bool
		code               string
	}{
		"CommitsBefore":    {true, true, "ES006"},
		"CommitsMeanwhile": {false, true, "ES006"},
		"RollsBack":        {false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			holder, release := stopBetweenDrawAndGate(t, b)
			writer, decider := newActor(t, b), newActor(t, b)
			at := position(t, b, byTags("course:7"))
			execSQL(t, b.ctx, writer.tx, `SAVEPOINT s`)
			waiting := start(func() (struct{}, error) {
				return struct{}{}, insertTagged(b.ctx, writer.tx, "other-1", "order.stopped", "course:7")
			})
			waitBlocked(t, b, writer.pid(), holder)

			// The decision's events: one before and one behind the row of the writer would do as well; the note is in the last one.
			decided, err := decider.repo.AppendIf(b.ctx, byTags("course:7"), at, toStream("mine-1", anEvent(t, 1)), toStream("mine-2", anEvent(t, 1)))
			require.NoError(t, err, "it cannot know")
			if c.endsBefore {
				decider.end(t, b, c.commit)
				release()
			} else {
				release()
				waitBlocked(t, b, writer.pid(), decider.pid())
				decider.end(t, b, c.commit)
			}
			got := <-waiting
			if c.code == "" {
				require.NoError(t, got.err)
			} else {
				refused := requireSQLState(t, got.err, c.code)
				require.Contains(t, refused.Message, "without seeing it")
				require.True(t, eventstream.SafeToRetry(got.err))
				execSQL(t, b.ctx, writer.tx, `ROLLBACK TO s`)
				require.NoError(t, insertTagged(b.ctx, writer.tx, "other-1", "order.placed", "course:7"))
			}
			writer.end(t, b, true)
			if c.commit {
				require.Greater(t, number(t, b.ctx, b.pool, `SELECT position FROM eventstream.events WHERE stream_id = 'other-1'`), decided[1].LastPosition)
			}
			requireDecisionsHold(t, b)
		})
	}
}

// The same in a transaction with one snapshot for all statements: the gate cannot see what was decided, so that the row is a serialization
// failure if anybody drew a position after it, and goes through if nobody did.
func TestTagsARowDrawnBeforeADecisionInOneSnapshot(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		for name, decides := range map[string]bool{"Decided": true, "Nobody": false} {
			t.Run(string(level)+name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				holder, release := stopBetweenDrawAndGate(t, b)
				conn := session(t, b)
				tx, err := conn.BeginTx(b.ctx, pgx.TxOptions{IsoLevel: level})
				require.NoError(t, err)
				waiting := start(func() (struct{}, error) {
					return struct{}{}, insertTagged(b.ctx, tx, "other-1", "order.stopped", "course:7")
				})
				waitBlocked(t, b, conn.PgConn().PID(), holder)
				if decides {
					_, err = decide(t, b.ctx, b.repo, byTags("course:7"), 0, "mine-1")
					require.NoError(t, err)
				}
				release()
				got := <-waiting
				if decides {
					requireSQLState(t, got.err, "40001")
				} else {
					require.NoError(t, got.err)
				}
				_ = tx.Rollback(b.ctx)
			})
		}
	}
}

// A position that was drawn before is above the stable position, wherever its transaction is: what was read does not hold it, and the decision
// finds it once it is there.
func TestTagsAnEventBelowOthersIsNotOverlooked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	holder, release := stopBetweenDrawAndGate(t, b)
	writer := newActor(t, b)
	query := eventstream.Query{{Tags: []string{"course:7"}}, {Tags: []string{"student:9"}}}
	waiting := start(func() (struct{}, error) {
		return struct{}{}, insertTagged(b.ctx, writer.tx, "other-1", "order.stopped", "course:7")
	})
	waitBlocked(t, b, writer.pid(), holder)
	_, err := b.repo.Append(b.ctx, "other-2", eventstream.Empty, tagged(t, "student:9"))
	require.NoError(t, err)
	events, at, err := b.repo.ReadQuery(b.ctx, query, 0)
	require.NoError(t, err)
	require.Empty(t, events, "student:9 is above a position that is not committed")
	release()
	require.NoError(t, (<-waiting).err)
	writer.end(t, b, true)
	_, err = decide(t, b.ctx, b.repo, query, at, "mine-1")
	requireConflict(t, err, at+1)
	events, at, err = b.repo.ReadQuery(b.ctx, query, 0)
	require.NoError(t, err)
	require.Len(t, events, 2)
	_, err = decide(t, b.ctx, b.repo, query, at, "mine-1")
	require.NoError(t, err)
	requireDecisionsHold(t, b)
}

// Two decisions at one position: the second waits for the first if the first appends what the second asks for, and is then refused.
func TestTagsTwoDecisions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second eventstream.Query
		tags          []string
		wins          bool
	}{
		"TheSame":            {byTags("course:7"), byTags("course:7"), []string{"course:7"}, false},
		"InAnotherOrder":     {byTags("course:7", "student:9"), byTags("student:9", "course:7"), []string{"student:9", "course:7"}, false},
		"Overlapping":        {byTags("course:7"), byTags("student:9", "course:7"), []string{"course:7", "student:9"}, false},
		"ByType":             {byTags("course:7"), eventstream.Query{{Types: []eventstream.EventType{"order.placed"}}}, []string{"course:7"}, false},
		"OfAnAlternative":    {byTags("course:7"), eventstream.Query{{Tags: []string{"x"}}, {Tags: []string{"course:7"}}}, []string{"course:7"}, false},
		"TheSecondIsNarrow":  {byTags("course:7"), byTags("course:7", "student:9"), []string{"course:7"}, true},
		"OfATypeThatIsOther": {byTags("course:7"), eventstream.Query{{Types: []eventstream.EventType{"x"}, Tags: []string{"course:7"}}}, []string{"course:7"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			first, second := newActor(t, b), newActor(t, b)
			at := position(t, b, c.first)
			_, err := first.repo.AppendIf(b.ctx, c.first, at, toStream("a-1", tagged(t, c.tags...)))
			require.NoError(t, err)
			waiting := start(func() ([]eventstream.AppendResult, error) {
				return second.repo.AppendIf(b.ctx, c.second, at, toStream("b-1", tagged(t, c.tags...)))
			})
			waitBlocked(t, b, second.pid(), first.pid())
			first.end(t, b, true)
			got := <-waiting
			if c.wins {
				require.NoError(t, got.err)
			} else {
				requireConflict(t, got.err, at+1)
			}
			second.end(t, b, true)
			requireDecisionsHold(t, b)
			requireAuditClean(t, b)
		})
	}
}

// Decisions on different tags, and writers of the same tags, do not wait for each other.
func TestTagsNobodyElseWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second, third := newActor(t, b), newActor(t, b), newActor(t, b)
	_, err := first.repo.AppendIf(b.ctx, byTags("course:7"), 0, toStream("a-1", tagged(t, "course:7", "all")))
	require.NoError(t, err)
	_, err = second.repo.AppendIf(b.ctx, byTags("course:8"), 0, toStream("b-1", tagged(t, "course:8", "all")))
	require.NoError(t, err)
	_, err = third.repo.Append(b.ctx, "c-1", eventstream.Empty, tagged(t, "all"))
	require.NoError(t, err)
	for _, a := range []*actor{first, second, third} {
		a.end(t, b, true)
	}
	requireDecisionsHold(t, b)
}
