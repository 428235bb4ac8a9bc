package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// An alternative matches events of one of its types that carry all of its tags; a query, those that an alternative matches; events without
// tags, none. Go's answer is that of the database, with and without the index, read in pages or at once.
func TestTagsQueries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	event := func(eventType string, tags ...string) eventstream.Event {
		e, err := eventstream.NewEvent(eventType, nil, eventstream.WithTags(tags...))
		require.NoError(t, err)
		return e
	}
	untagged := anEvent(t, 1)
	untagged.Type = "a"
	events := []eventstream.Event{
		event("a", "x"), event("a", "x", "y"), event("b", "y", "x"), event("b", "z"), untagged, event("a", "xy"),
	}
	for i, e := range events {
		_, err := b.repo.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("s-%d", i)), eventstream.Empty, e)
		require.NoError(t, err)
	}
	for round := range 2 {
		if round == 1 {
			// Far back is what the index is for.
			_, err := b.repo.Append(b.ctx, "bulk-1", eventstream.Empty, someEvents(t, 1500)...)
			require.NoError(t, err)
			execSQL(t, b.ctx, b.pool, tagIndex)
		}
		for _, c := range []struct {
			query eventstream.Query
			want  []int64
		}{
			{byTags("x"), []int64{1, 2, 3}},
			{byTags("x", "y"), []int64{2, 3}},
			{byTags("y", "x"), []int64{2, 3}},
			{byTags("x", "z"), nil},
			{eventstream.Query{{Tags: []string{"x"}, Types: []eventstream.EventType{"a"}}}, []int64{1, 2}},
			{eventstream.Query{{Tags: []string{"x"}, Types: []eventstream.EventType{"a", "b"}}}, []int64{1, 2, 3}},
			{eventstream.Query{{Types: []eventstream.EventType{"b"}}}, []int64{3, 4}},
			{eventstream.Query{{Types: []eventstream.EventType{"a"}}}, []int64{1, 2, 6}},
			{eventstream.Query{{Tags: []string{"z"}}, {Tags: []string{"y"}, Types: []eventstream.EventType{"b"}}}, []int64{3, 4}},
			{eventstream.Query{{Tags: []string{"x"}}, {Tags: []string{"y"}}}, []int64{1, 2, 3}},
		} {
			got, at, err := b.repo.ReadQuery(b.ctx, c.query, 0)
			require.NoError(t, err)
			require.Equal(t, drawn(t, b), at)
			require.Equal(t, c.want, positionsOf(got), "%v", c.query)
			got, _, err = b.repo.ReadQuery(b.ctx, c.query, 2)
			require.NoError(t, err)
			require.Equal(t, len(withoutFirst(c.want, 2)), len(got))
			_, err = decide(t, b.ctx, b.repo, c.query, 0, "mine-1")
			if len(c.want) > 0 {
				requireConflict(t, err, c.want[0])
			} else {
				require.NoError(t, err)
			}
		}
	}
	requireAuditClean(t, b)
}

func positionsOf(events []eventstream.Event) (positions []int64) {
	for _, e := range events {
		positions = append(positions, e.Position)
	}
	return positions
}

// withoutFirst leaves out what is at or below a position.
func withoutFirst(positions []int64, after int64) (left []int64) {
	for _, p := range positions {
		if p > after {
			left = append(left, p)
		}
	}
	return left
}

// More than a page of what a query selects comes whole.
func TestTagsReadManyPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := make([]eventstream.Event, 2001)
	for i := range events {
		events[i] = tagged(t, "all")
	}
	_, err := b.repo.Append(b.ctx, "many-1", eventstream.Empty, events...)
	require.NoError(t, err)
	got, at, err := b.repo.ReadQuery(b.ctx, byTags("all"), 0)
	require.NoError(t, err)
	require.Equal(t, idsOf(events), idsOf(got))
	require.Equal(t, got[2000].Position, at)
	require.Equal(t, []string{"all"}, got[7].Tags())
}

// The events of a decision go to streams of their own, each with its expectation: all or nothing. The note is in the last one.
func TestTagsDecisionOverSeveralStreams(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "z-1", 2)
	query := byTags("course:7")
	_, err := b.repo.AppendIf(b.ctx, query, 0, toStream("z-1", tagged(t, "course:7")),
		eventstream.AppendRequest{StreamID: "a-1", Expected: eventstream.Exists, Events: someEvents(t, 1)})
	var refused *eventstream.BatchError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, eventstream.ErrStreamMissing)
	require.Equal(t, 1, refused.Refused[0].Index)

	results, err := b.repo.AppendIf(b.ctx, query, 2,
		eventstream.AppendRequest{StreamID: "z-1", Expected: eventstream.Exact(2), Events: []eventstream.Event{anEvent(t, 1), tagged(t, "course:7")}},
		eventstream.AppendRequest{StreamID: "a-1", Expected: eventstream.Empty, Events: someEvents(t, 2)})
	require.NoError(t, err)
	require.Len(t, results, 2)
	require.Equal(t, []int64{3, 4, 1, 2}, []int64{results[0].FirstVersion, results[0].LastVersion, results[1].FirstVersion, results[1].LastVersion})
	require.Equal(t, []string{`z-1 4 {"tags": ["course:7"], "decided": {"query": [{"tags": ["course:7"]}], "position": 2}}`}, texts(t, b,
		`SELECT format('%s %s %s', stream_id, version, metadata) FROM eventstream.events WHERE metadata ? 'decided'`))

	// The position of the last event is one to decide on, for the same query.
	_, err = decide(t, b.ctx, b.repo, query, max(results[0].LastPosition, results[1].LastPosition), "mine-1")
	require.NoError(t, err)
	requireDecisionsHold(t, b)
	requireAuditClean(t, b)
}

// A decision that is repeated is a duplicate, also after others; a part of it, or other content, is not.
func TestTagsDecisionRepeatedIsADuplicate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := tagged(t, "course:7"), tagged(t, "course:7")
	attempt := func(events ...eventstream.Event) ([]eventstream.AppendResult, error) {
		requests := make([]eventstream.AppendRequest, len(events))
		for i, e := range events {
			requests[i] = toStream(eventstream.StreamID(fmt.Sprintf("s-%d", i)), e)
		}
		return b.repo.AppendIf(b.ctx, byTags("course:7"), 0, requests...)
	}
	once, err := attempt(first, second)
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "s-0", eventstream.Any, tagged(t, "course:7"))
	require.NoError(t, err)
	again, err := attempt(first, second)
	require.NoError(t, err)
	for i := range again {
		require.True(t, again[i].Duplicate)
		require.Equal(t, once[i].LastPosition, again[i].LastPosition)
	}
	_, err = attempt(first, tagged(t, "course:7"))
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	other := second
	other.Payload = []byte(`{"n": 2}`)
	_, err = attempt(first, other)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	require.EqualValues(t, 3, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
}

// In a transaction of the caller a decision sees what the transaction wrote, and a refusal leaves the transaction usable.
func TestTagsDecisionInATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inTx(t, b, func(tx pgx.Tx) {
		repo := b.repo.WithTx(tx)
		_, at, err := repo.ReadQuery(b.ctx, byTags("course:7"), 0)
		require.NoError(t, err)
		results, err := repo.AppendIf(b.ctx, byTags("course:7"), at, toStream("a-1", tagged(t, "course:7")))
		require.NoError(t, err)
		_, err = decide(t, b.ctx, repo, byTags("course:7"), at, "b-1")
		requireConflict(t, err, results[0].LastPosition)
		_, err = decide(t, b.ctx, repo, byTags("course:7"), results[0].LastPosition, "b-1")
		require.NoError(t, err)
	})
	requireDecisionsHold(t, b)
}

// With inline projections, these see what a decision appended.
func TestTagsDecisionRunsInlineProjections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var seen []eventstream.Event
	repo, err := eventstream.NewRepository(b.pool, &eventstream.Config{Inline: []eventstream.InlineProjection{
		func(_ context.Context, _ pgx.Tx, events []eventstream.Event) error {
			seen = append(seen, events...)
			return nil
		},
	}})
	require.NoError(t, err)
	e := tagged(t, "course:7")
	_, err = repo.AppendIf(b.ctx, byTags("course:7"), 0, toStream("a-1", e))
	require.NoError(t, err)
	require.Equal(t, idsOf([]eventstream.Event{e}), idsOf(seen))
}

// What is no tag and no query is refused by Go and by the database alike, whoever writes.
func TestTagsThatAreNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, tags := range []string{
		`"x"`, `{}`, `1`, `null`, `[1]`, `[null]`, `[["x"]]`, `[""]`, `[" x"]`, `["x\n"]`, `["` + string(make129()) + `"]`, `[` + repeat(`"x"`, 33) + `]`,
	} {
		id := fmt.Sprintf("raw-%d", i)
		metadata := `{"tags": ` + tags + `}`
		_, err := b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, type, payload, metadata, partition_id)
			VALUES ($1, 1, 'x', '{}', $2::text::jsonb, eventstream.partition_of($1, eventstream.partition_count()))`, id, metadata)
		requireSQLState(t, err, "ES008")
		_, err = b.pool.Exec(b.ctx, `SELECT eventstream.append($1, 'x', p_metadata => $2::text::jsonb)`, id, metadata)
		requireSQLState(t, err, "ES008")
		e := anEvent(t, 1)
		e.Metadata = []byte(metadata)
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, e.Validate(), &invalid, metadata)
		require.Equal(t, "tags", invalid.Field)
	}
	for i, tags := range []string{`[]`, `["x"]`, `["x", "x"]`, `["ä:ö"]`, `[` + repeat(`"x"`, 32) + `]`} {
		e := anEvent(t, 1)
		e.Metadata = []byte(`{"tags": ` + tags + `}`)
		require.NoError(t, e.Validate())
		_, err := b.repo.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("good-%d", i)), eventstream.Empty, e)
		require.NoError(t, err)
	}
	for _, query := range []string{
		`null`, `{}`, `[]`, `[1]`, `[{}]`, `[{"tags": []}]`, `[{"tags": "x"}]`, `[{"tags": [1]}]`, `[{"tags": [""]}]`, `[{"types": ["x"], "tag": ["y"]}]`,
		`[` + repeat(`{"tags": ["x"]}`, 33) + `]`, `[{"types": [` + repeat(`"x"`, 33) + `]}]`,
	} {
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.append_if($1::text::jsonb, 0, ARRAY['a'], ARRAY[-1], ARRAY[1], NULL, ARRAY['x'], NULL)`, query)
		requireSQLState(t, err, "ES008")
	}
	for _, query := range []eventstream.Query{
		nil, {}, {{}}, byTags(""), {{Types: []eventstream.EventType{""}}}, byTags(make([]string, 33)...), make(eventstream.Query, 33),
	} {
		_, err := decide(t, b.ctx, b.repo, query, 0, "a-1")
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
		_, _, err = b.repo.ReadQuery(b.ctx, query, 0)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
	_, err := decide(t, b.ctx, b.repo, byTags("x"), -1, "a-1")
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = decide(t, b.ctx, b.repo, byTags("y"), 1000, "a-1")
	require.ErrorIs(t, err, eventstream.ErrBeyondLog)
}

// repeat is a text n times, with commas.
func repeat(text string, n int) string {
	all := text
	for range n - 1 {
		all += "," + text
	}
	return all
}

// make129 is a tag of one byte too much.
func make129() []byte {
	tag := make([]byte, 129)
	for i := range tag {
		tag[i] = 'x'
	}
	return tag
}

// What somebody forged under the key decided stops nobody but a raw INSERT that it overtakes, and is no error.
func TestTagsForgedNotes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, note := range []string{`1`, `"x"`, `[]`, `{}`, `{"query": 1}`, `{"query": [{"tags": ["course:8"]}]}`} {
		stop := holdStopped
		if i == 0 {
			stop = stopBetweenDrawAndGate
		}
		holder, release := stop(t, b)
		writer := newActor(t, b)
		waiting := start(func() (struct{}, error) {
			return struct{}{}, insertTagged(b.ctx, writer.tx, fmt.Sprintf("s-%d", i), "order.stopped", "course:7")
		})
		waitBlocked(t, b, writer.pid(), holder)
		execSQL(t, b.ctx, b.pool, `SELECT eventstream.append($1, 'x', p_metadata => jsonb_build_object('decided', $2::text::jsonb))`, fmt.Sprintf("forged-%d", i), note)
		release()
		require.NoError(t, (<-waiting).err, note)
		writer.end(t, b, true)
	}
}

// A service with EXECUTE on append_if decides; who may only write by INSERT has tags held for him, and may do neither; a reader reads.
func TestTagsRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role+`;
		GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role+`;
		GRANT INSERT (stream_id, version, event_id, occurred_at, partition_id, tenant_id, type, payload, data, metadata) ON eventstream.events TO `+role+`;
		GRANT USAGE ON SEQUENCE eventstream.events_position_seq TO `+role)
	conn := connect(t, b.dsn, role)
	require.NoError(t, insertTagged(b.ctx, conn, "raw-1", "x", "course:7"))
	repo := repoOn(t, conn)
	events, at, err := repo.ReadQuery(b.ctx, byTags("course:7"), 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
	_, err = decide(t, b.ctx, repo, byTags("course:7"), at, "a-1")
	requireSQLState(t, err, "42501")
	execSQL(t, b.ctx, b.pool, `GRANT EXECUTE ON FUNCTION eventstream.append_if TO `+role)
	_, err = decide(t, b.ctx, repo, byTags("course:7"), at, "a-1")
	require.NoError(t, err)
	requireDecisionsHold(t, b)
}
