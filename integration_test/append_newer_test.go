package integration_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// refusedFor appends events at a version that has passed, and gives the refusal.
func refusedFor(
	t testing.TB, b *bundle, repo *eventstream.Repository, id eventstream.StreamID, expected int64, newer int, events ...eventstream.Event,
) *eventstream.VersionConflictError {
	t.Helper()
	_, err := repo.AppendMany(b.ctx, eventstream.AppendRequest{
		StreamID: id, Expected: eventstream.Exact(expected), Events: events, Newer: newer,
	})
	var conflict *eventstream.VersionConflictError
	require.ErrorAs(t, err, &conflict)
	return conflict
}

// A refusal brings the events after the expected version as a reader gets them, of one event and of several, in each query mode.
func TestAppendRefusalBringsWhatWasMissed(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t, withQueryMode(mode))
			given(t, b, "order-1", 3)
			binary, err := eventstream.NewEvent("order.scanned", nil, eventstream.WithData([]byte{0, 1, 255}))
			require.NoError(t, err)
			_, err = b.repo.Append(b.ctx, "order-1", eventstream.Any, binary, anEvent(t, 5, eventstream.WithMetadata(map[string]string{"by": "me"})))
			require.NoError(t, err)
			stored := readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}))

			for count := 1; count <= 2; count++ {
				verify := untouched(t, b)
				conflict := refusedFor(t, b, b.repo, "order-1", 2, 100, someEvents(t, count)...)
				require.Equal(t, stored[2:], conflict.Newer)
				require.Equal(t, stored[2:4], refusedFor(t, b, b.repo, "order-1", 2, 2, someEvents(t, count)...).Newer)
				require.Empty(t, refusedFor(t, b, b.repo, "order-1", 2, 0, someEvents(t, count)...).Newer)
				require.Empty(t, refusedFor(t, b, b.repo, "order-1", 9, 100, someEvents(t, count)...).Newer, "a version that is still to come")
				verify()
				inTx(t, b, func(tx pgx.Tx) {
					require.Equal(t, stored, refusedFor(t, b, b.repo.WithTx(tx), "order-1", 0, 100, someEvents(t, count)...).Newer)
				})
			}
			requireAuditClean(t, b)
		})
	}
}

// Of several requests each refusal has its own, and one that could have been applied has none.
func TestAppendRefusalsOfABatchBringWhatEachMissed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "b-1", 2)
	given(t, b, "a-1", 4)
	given(t, b, "c-1", 1)
	request := func(id eventstream.StreamID, expected int64, newer int) eventstream.AppendRequest {
		return eventstream.AppendRequest{StreamID: id, Expected: eventstream.Exact(expected), Events: someEvents(t, 2), Newer: newer}
	}
	_, err := b.repo.AppendMany(b.ctx, request("b-1", 1, 10), request("c-1", 1, 10), request("a-1", 1, 10), request("d-1", 7, 10))
	var batch *eventstream.BatchError
	require.ErrorAs(t, err, &batch)
	missed := map[eventstream.StreamID][]int64{}
	for _, refused := range batch.Refused {
		var conflict *eventstream.VersionConflictError
		require.ErrorAs(t, refused.Err, &conflict)
		missed[refused.StreamID] = versionsOf(conflict.Newer)
	}
	require.Equal(t, map[eventstream.StreamID][]int64{"a-1": {2, 3, 4}, "b-1": {2}, "d-1": {}}, missed)

	for _, newer := range []int{-1, 1001} {
		_, err := b.repo.AppendMany(b.ctx, request("a-1", 4, newer))
		require.ErrorContains(t, err, "AppendRequest.Newer")
	}
	results, err := b.repo.AppendMany(b.ctx, request("a-1", 4, 10), request("b-1", 2, 10))
	require.NoError(t, err)
	require.Equal(t, []int64{6, 4}, []int64{results[0].LastVersion, results[1].LastVersion})
}

// However large the events are, what the refusals of a statement bring is bounded; an event that does not fit is not among them.
func TestAppendRefusalBringsABoundedAmount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	large := func() eventstream.Event {
		data := make([]byte, 400<<10)
		_, _ = rand.Read(data)
		e, err := eventstream.NewEvent("order.scanned", nil, eventstream.WithData(data))
		require.NoError(t, err)
		return e
	}
	_, err := b.repo.Append(b.ctx, "order-1", eventstream.Empty, large(), large(), large(), large())
	require.NoError(t, err)
	conflict := refusedFor(t, b, b.repo, "order-1", 0, 100, anEvent(t, 1))
	require.Equal(t, []int64{1, 2}, versionsOf(conflict.Newer))
	require.Equal(t, int64(4), conflict.Actual)

	given(t, b, "many-1", 1500)
	require.Len(t, refusedFor(t, b, b.repo, "many-1", 0, 1000, anEvent(t, 1)).Newer, 1000)
	require.Equal(t, int64(1000), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.newer_events('many-1', 0, 1000000, 1 << 30)`))
}

// A appends and holds, B waits for A with an expectation that A breaks: B's statement began before A committed, and brings A's event.
func TestRaceRefusalBringsWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	for count := 1; count <= 2; count++ {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 1)
			first, second := newActor(t, b), newActor(t, b)
			mine := anEvent(t, 2)
			_, err := first.repo.Append(b.ctx, "order-1", eventstream.Exact(1), mine)
			require.NoError(t, err)
			events := someEvents(t, count)
			done := start(func() ([]eventstream.AppendResult, error) {
				return second.repo.AppendMany(b.ctx, eventstream.AppendRequest{
					StreamID: "order-1", Expected: eventstream.Exact(1), Events: events, Newer: 10,
				})
			})
			waitBlocked(t, b, second.pid(), first.pid())
			first.end(t, b, true)
			var conflict *eventstream.VersionConflictError
			require.ErrorAs(t, (<-done).err, &conflict)
			require.Equal(t, idsOf([]eventstream.Event{mine}), idsOf(conflict.Newer))
			second.end(t, b, true)
		})
	}
}

// Where appends share statements, each refusal brings what its own request asked for.
func TestAppendRefusalsInAGroupBringWhatEachMissed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "hot-1", 5)
	var wait sync.WaitGroup
	errs := make([]error, 64)
	for i := range errs {
		wait.Go(func() {
			_, errs[i] = b.repo.AppendMany(b.ctx, eventstream.AppendRequest{
				StreamID: "hot-1", Expected: eventstream.Exact(int64(i % 5)), Events: someEvents(t, 1+i%2), Newer: i % 4,
			})
		})
	}
	wait.Wait()
	for i, err := range errs {
		var conflict *eventstream.VersionConflictError
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, min(i%4, 5-i%5), len(conflict.Newer), "request %d", i)
		for n, e := range conflict.Newer {
			require.Equal(t, int64(i%5+1+n), e.Version, "request %d", i)
		}
	}
}

// Who may append and not read learns nothing of what others appended by being refused: not by Newer, not by newer_events, and not by having it
// called in a session of somebody who may read, as autovacuum does with the functions of an index.
func TestNewerEventsAreForWhoMayRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "secret-1", 3)
	role := newRole(t, b)
	for _, grant := range []string{
		"GRANT USAGE ON SCHEMA eventstream TO " + role,
		"GRANT EXECUTE ON FUNCTION eventstream.append_batch, eventstream.append_event TO " + role,
		"CREATE SCHEMA own AUTHORIZATION " + role,
	} {
		execSQL(t, b.ctx, b.pool, grant)
	}
	repo := asRole(t, b, role)
	require.Empty(t, refusedFor(t, b, repo, "secret-1", 0, 100, anEvent(t, 1)).Newer)
	require.Empty(t, refusedFor(t, b, repo, "secret-1", 0, 100, someEvents(t, 2)...).Newer)
	own := newPool(t, b.dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["role"] = role })
	execSQL(t, b.ctx, own, `
		CREATE TABLE own.seen (n bigint);
		CREATE TABLE own.bait (n integer);
		INSERT INTO own.bait VALUES (1);
		CREATE FUNCTION own.note() RETURNS integer LANGUAGE sql AS $$
			INSERT INTO own.seen SELECT count(*) FROM eventstream.newer_events('secret-1', 0, 100) RETURNING 1 $$;
		CREATE FUNCTION own.spy(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN n * own.note(); END $$;
		CREATE INDEX ON own.bait (own.spy(n));
		DELETE FROM own.seen`)
	execSQL(t, b.ctx, b.pool, `REINDEX TABLE own.bait`) // by a superuser
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM own.seen`), "it was called")
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT max(n) FROM own.seen`))

	// Column by column is not enough; the whole table is.
	execSQL(t, b.ctx, b.pool, "GRANT SELECT (stream_id, version) ON eventstream.events TO "+role)
	require.Empty(t, refusedFor(t, b, repo, "secret-1", 0, 100, anEvent(t, 1)).Newer)
	execSQL(t, b.ctx, b.pool, "GRANT SELECT ON eventstream.events TO "+role)
	require.Len(t, refusedFor(t, b, repo, "secret-1", 0, 100, anEvent(t, 1)).Newer, 3)
}

func TestFold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 1200) // more than a page
	stored := readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}))
	fold := func(id eventstream.StreamID, from int64) (got []eventstream.Event) {
		t.Helper()
		require.NoError(t, b.repo.Fold(b.ctx, id, from, func(e eventstream.Event) error {
			got = append(got, e)
			return nil
		}))
		return got
	}
	require.Equal(t, stored, fold("order-1", 0))
	require.Equal(t, stored[1000:], fold("order-1", 1001))
	require.Empty(t, fold("order-1", 1201))
	require.Empty(t, fold("none-1", 0))

	enough, calls := errors.New("enough"), 0
	err := b.repo.Fold(b.ctx, "order-1", 0, func(eventstream.Event) error {
		calls++
		return enough
	})
	require.Equal(t, enough, err)
	require.Equal(t, 1, calls)
	require.ErrorIs(t, b.repo.Fold(b.ctx, "order-1", -1, func(eventstream.Event) error { return nil }), eventstream.ErrInvalidValue)
	require.ErrorIs(t, b.repo.Fold(b.ctx, "", 0, func(eventstream.Event) error { return nil }), eventstream.ErrInvalidValue)
	require.ErrorIs(t, b.repo.Fold(b.ctx, "order-1", 0, nil), eventstream.ErrInvalidValue)
	require.Len(t, fold("order-1", 0), 1200, "its connection is free again")
}

// Appends that do not ask for what they miss send the statement that they sent before there was anything to ask for.
func TestAppendThatAsksForNothingSendsNothingMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := &intruder{}
	config := b.pool.Config()
	config.ConnConfig.Tracer = seen
	config.MaxConns = 1 // so that none may wait without end, for which one event has another statement
	pool, err := pgxpool.NewWithConfig(b.ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	grouped, err := eventstream.NewRepository(pool, nil) // whatever GAPLESS_TEST_GROUP says
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(b.ctx, config.ConnConfig)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(b.ctx) })
	alone := repoOn(t, conn)
	for _, c := range []struct {
		repo  *eventstream.Repository
		newer int
		want  string
	}{
		{alone, 0, "AppendEvent AppendBatch AppendEvent"},
		{alone, 5, "AppendEventNewer AppendBatchNewer AppendEvent"},
		{grouped, 0, "AppendBatch AppendBatch AppendBatch"},
		{grouped, 5, "AppendBatchNewer AppendBatchNewer AppendBatch"},
	} {
		seen.statements = nil
		for count := 1; count <= 2; count++ {
			_, err := c.repo.AppendMany(b.ctx, eventstream.AppendRequest{
				StreamID: "order-1", Expected: eventstream.Any, Events: someEvents(t, count), Newer: c.newer,
			})
			require.NoError(t, err)
		}
		_, err := c.repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))
		require.NoError(t, err)
		var names []string
		for _, sql := range seen.statements {
			names = append(names, strings.Fields(sql)[2])
		}
		require.Equal(t, c.want, strings.Join(names, " "))
	}
}
