package integration_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
)

func toJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

// A erases and holds; B's append waits for A, and then goes on top of what is left; a raw INSERT, which takes no lock, need not wait. A
// reader sees all of it or nothing, and so does a seal that is made meanwhile.
func TestRaceAnErasureAndWhoReadsAndWrites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 3 {
		_, err := b.repo.Append(b.ctx, "person-1", eventstream.Any, aPerson(t, n))
		require.NoError(t, err)
	}
	eraser, appender, reader := newActor(t, b), newActor(t, b), newActor(t, b)
	_, err := reader.tx.Exec(b.ctx, `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`)
	require.NoError(t, err)
	before, err := reader.repo.Load(b.ctx, "person-1")
	require.NoError(t, err)
	_, err = eraser.repo.Erase(b.ctx, eventstream.Erasure{StreamID: "person-1", From: 1, Reason: "r"})
	require.NoError(t, err)

	appended := start(func() (eventstream.AppendResult, error) {
		return appender.repo.Append(b.ctx, "person-1", eventstream.Exact(3), anEvent(t, 4))
	})
	waitBlocked(t, b, appender.pid(), eraser.pid())
	kept, sealed, err := seal.Next(b.ctx, b.pool, 10)
	require.NoError(t, err)
	require.True(t, sealed, "with the content, which is still there for others")
	require.Equal(t, []bool{false, false, false}, erasedOf(mustLoad(t, b, "person-1").EventsFrom(1)))
	eraser.end(t, b, true)
	r := <-appended
	require.NoError(t, r.err)
	require.Equal(t, int64(4), r.value.LastVersion)
	appender.end(t, b, true)

	again, err := reader.repo.Load(b.ctx, "person-1")
	require.NoError(t, err)
	require.Equal(t, before.EventsFrom(1), again.EventsFrom(1), "in its snapshot nothing was erased")
	_, err = reader.repo.Erase(b.ctx, eventstream.Erasure{StreamID: "person-1", From: 1, Reason: "r"})
	require.True(t, eventstream.SafeToRetry(err), "%v", err)
	reader.end(t, b, false)
	require.Equal(t, []bool{true, true, true, false}, erasedOf(mustLoad(t, b, "person-1").EventsFrom(1)))
	require.Empty(t, sealFaults(t, b, &kept), "sealed before, erased after: the digests are the same")
	requireAuditClean(t, b)
}

// Two erase the same: the second waits, and finds nothing left to do. If the first rolls back, it does it.
func TestRaceTwoErasures(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]bool{"FirstCommits": true, "FirstRollsBack": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, kept := personStore(t)
			first, second := newActor(t, b), newActor(t, b)
			erasure := eventstream.Erasure{StreamID: "person-1", From: 2, To: 3, Reason: "r"}
			_, err := first.repo.Erase(b.ctx, erasure)
			require.NoError(t, err)
			erased := start(func() (int64, error) { return second.repo.Erase(b.ctx, erasure) })
			waitBlocked(t, b, second.pid(), first.pid())
			first.end(t, b, commit)
			r := <-erased
			require.NoError(t, r.err)
			require.Equal(t, map[bool]int64{true: 0, false: 2}[commit], r.value)
			second.end(t, b, true)
			require.Equal(t, int64(2), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.erasures`))
			require.Empty(t, sealFaults(t, b, &kept))
			requireAuditClean(t, b)
		})
	}
}

// A closes and holds; B appends: it waits, and the stream is closed. If A rolls back, B goes through. A raw INSERT of the version after the
// closing one finds no predecessor, and of the same version waits for the key.
func TestRaceOneClosesAndOneAppends(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]bool{"Commits": true, "RollsBack": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 2)
			closer, appender, raw := newActor(t, b), newActor(t, b), session(t, b)
			_, err := closer.repo.CloseStream(b.ctx, "order-1", eventstream.Exact(2), "done")
			require.NoError(t, err)
			requireSQLState(t, simpleErr(b.ctx, raw, `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload)
				SELECT stream_id, 4, 'a', partition_id, '{}' FROM eventstream.events WHERE version = 1`), "ES002")
			appended := start(func() (eventstream.AppendResult, error) {
				return appender.repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 3))
			})
			waitBlocked(t, b, appender.pid(), closer.pid())
			closer.end(t, b, commit)
			r := <-appended
			if commit {
				require.ErrorIs(t, r.err, eventstream.ErrStreamClosed)
			} else {
				require.NoError(t, r.err)
			}
			appender.end(t, b, true)
			require.Equal(t, commit, mustLoad(t, b, "order-1").IsClosed())
			requireAuditClean(t, b)
		})
	}
}

// A decision names the tags that it was made on in the metadata of its last event (decided): they go with the event's content, and an append that
// was decided before, and waits for the erasure or is repeated after it, neither brings them back nor is made twice.
func TestRaceAnErasureAndADecision(t *testing.T) {
	t.Parallel()
	b := setup(t)
	query := byTags("name:" + personal)
	decided := aPerson(t, 1)
	at := position(t, b, query)
	first, err := b.repo.AppendIf(b.ctx, query, at, toStream("person-1", decided))
	require.NoError(t, err)
	require.Contains(t, string(mustEvent(t, b, decided.ID).Metadata), "decided")

	eraser, decider := newActor(t, b), newActor(t, b)
	_, err = eraser.repo.Erase(b.ctx, eventstream.Erasure{StreamID: "person-1", From: 1, Reason: "r"})
	require.NoError(t, err)
	repeated := start(func() ([]eventstream.AppendResult, error) {
		return decider.repo.AppendIf(b.ctx, query, at, toStream("person-1", decided))
	})
	waitBlocked(t, b, decider.pid(), eraser.pid())
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted AND locktype = 'advisory'`,
		int32(decider.pid())), "for its turn with the stream, and not for a row that it has tried to write")
	eraser.end(t, b, true)
	r := <-repeated
	require.NoError(t, r.err)
	require.True(t, r.value[0].Duplicate)
	require.Equal(t, first[0].LastPosition, r.value[0].LastPosition)
	decider.end(t, b, true)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events AS e WHERE e::text LIKE '%`+personal+`%'`))

	// A decision on the tag that is made after the erasure names it anew, in an event of its own: that one is to be erased as well.
	_, err = b.repo.AppendIf(b.ctx, query, position(t, b, query), toStream("other-1", anEvent(t, 1)))
	require.NoError(t, err)
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events AS e
		WHERE e.stream_id = 'other-1' AND e.metadata -> 'decided' -> 'query' @> '[{"tags": ["name:`+personal+`"]}]'`))
	_, err = b.repo.Erase(b.ctx, eventstream.Erasure{StreamID: "other-1", From: 1, Reason: "r"})
	require.NoError(t, err)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events AS e WHERE e::text LIKE '%`+personal+`%'`))
	requireAuditClean(t, b)
}
