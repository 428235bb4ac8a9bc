package integration_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// The expectations that a first append to a new stream meets, and those that an append to a stream at version 1 meets.
var (
	onNew = map[string]eventstream.Expected{
		"Any": eventstream.Any, "Empty": eventstream.Empty, "Exact": eventstream.Exact(0),
	}
	onOne = map[string]eventstream.Expected{
		"Any": eventstream.Any, "Exists": eventstream.Exists, "Exact": eventstream.Exact(1),
	}
)

// An append that is repeated gives the first result, in every mode, also when the stream has moved on, and writes nothing.
func TestAppendRepeatedIsADuplicate(t *testing.T) {
	t.Parallel()
	for before, modes := range []map[string]eventstream.Expected{onNew, onOne} {
		for name, expected := range modes {
			t.Run([]string{"New", "One"}[before]+name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				var want []eventstream.Event
				if before > 0 {
					want = given(t, b, "order-1", before)
				}
				events := someEvents(t, 3)
				first, err := b.repo.Append(b.ctx, "order-1", expected, events...)
				require.NoError(t, err)
				require.Equal(t, eventstream.AppendResult{
					FirstVersion: int64(before + 1), LastVersion: int64(before + 3), LastPosition: int64(before + 3),
					CurrentVersion: int64(before + 3),
				}, first)

				repeated := first
				repeated.Duplicate = true
				// What the stream's version allows is inserted before the ids are looked up, and uses up positions.
				nothing := untouched
				if expected == eventstream.Any || expected == eventstream.Exists {
					nothing = unwritten
				}
				unchanged := nothing(t, b)
				again, err := b.repo.Append(b.ctx, "order-1", expected, events...)
				require.NoError(t, err)
				require.Equal(t, repeated, again)
				unchanged()

				later, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, someEvents(t, 2)...)
				require.NoError(t, err)
				repeated.CurrentVersion = later.LastVersion
				unchanged = nothing(t, b)
				again, err = b.repo.Append(b.ctx, "order-1", expected, events...)
				require.NoError(t, err)
				require.Equal(t, repeated, again)
				many, err := b.repo.AppendMany(b.ctx,
					eventstream.AppendRequest{StreamID: "order-1", Expected: expected, Events: events})
				require.NoError(t, err)
				require.Equal(t, []eventstream.AppendResult{repeated}, many)
				unchanged()
				require.Equal(t, idsOf(append(want, events...)),
					idsOf(readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{Limit: before + 3}))))
				requireAuditClean(t, b)
			})
		}
	}
}

// What makes an append the same: stream, ids, order, type, payload and data. Metadata and time are of the try, not of the event.
func TestAppendRepeatedWithSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := given(t, b, "order-1", 3)
	elsewhere := given(t, b, "order-2", 1)
	data := anEvent(t, 1, eventstream.WithData([]byte{1}))
	_, err := b.repo.Append(b.ctx, "order-3", eventstream.Empty, data)
	require.NoError(t, err)
	unchanged := unwritten(t, b)

	with := func(e eventstream.Event, change func(e *eventstream.Event)) eventstream.Event {
		e = e.Clone()
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		stream eventstream.StreamID
		events []eventstream.Event
		want   eventstream.EventIDConflictError
	}{
		"OtherPayload": {
			"order-1",
			[]eventstream.Event{first[0], with(first[1], func(e *eventstream.Event) { e.Payload = []byte(`{"n": 9}`) })},
			eventstream.EventIDConflictError{
				EventID: first[1].ID, FoundStreamID: "order-1", FoundVersion: 2, Problem: "exists already, with other content",
			},
		},
		"OtherType": {
			"order-1",
			[]eventstream.Event{with(first[0], func(e *eventstream.Event) { e.Type = "order.paid" })},
			eventstream.EventIDConflictError{
				EventID: first[0].ID, FoundStreamID: "order-1", FoundVersion: 1, Problem: "exists already, with other content",
			},
		},
		"OtherData": {
			"order-3",
			[]eventstream.Event{with(data, func(e *eventstream.Event) { e.Data = []byte{2} })},
			eventstream.EventIDConflictError{
				EventID: data.ID, FoundStreamID: "order-3", FoundVersion: 1, Problem: "exists already, with other content",
			},
		},
		"NoData": {
			"order-3",
			[]eventstream.Event{with(data, func(e *eventstream.Event) { e.Data = nil })},
			eventstream.EventIDConflictError{
				EventID: data.ID, FoundStreamID: "order-3", FoundVersion: 1, Problem: "exists already, with other content",
			},
		},
		"OtherOrder": {
			"order-1",
			[]eventstream.Event{first[0], first[2], first[1]},
			eventstream.EventIDConflictError{
				EventID: first[2].ID, FoundStreamID: "order-1", FoundVersion: 3, Problem: "exists already, in another order",
			},
		},
		"LeavingOneOut": {
			"order-1",
			[]eventstream.Event{first[0], first[2]},
			eventstream.EventIDConflictError{
				EventID: first[2].ID, FoundStreamID: "order-1", FoundVersion: 3, Problem: "exists already, in another order",
			},
		},
		"OtherStream": {
			"order-2", first,
			eventstream.EventIDConflictError{
				EventID: first[0].ID, FoundStreamID: "order-1", FoundVersion: 1, Problem: "exists already, in another stream",
			},
		},
		"NewStream": {
			"order-9", first[1:],
			eventstream.EventIDConflictError{
				EventID: first[1].ID, FoundStreamID: "order-1", FoundVersion: 2, Problem: "exists already, in another stream",
			},
		},
		"OfTwoStreams": {
			"order-1",
			[]eventstream.Event{first[0], elsewhere[0]},
			eventstream.EventIDConflictError{
				EventID: elsewhere[0].ID, FoundStreamID: "order-2", FoundVersion: 1, Problem: "exists already, in another stream",
			},
		},
	} {
		c.want.StreamID = c.stream
		_, err := b.repo.Append(b.ctx, c.stream, eventstream.Any, c.events...)
		var conflict *eventstream.EventIDConflictError
		require.ErrorAs(t, err, &conflict, name)
		require.Equal(t, c.want, *conflict, name)
		requireSQLState(t, err, "ES005")
		require.False(t, eventstream.SafeToRetry(err), name)

		_, err = b.repo.AppendMany(b.ctx,
			eventstream.AppendRequest{StreamID: "beside-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
			eventstream.AppendRequest{StreamID: c.stream, Expected: eventstream.Any, Events: c.events})
		require.ErrorAs(t, err, &conflict, name)
		require.Equal(t, c.want, *conflict, name)
	}

	// Some of the append are there, others are not: neither a repetition nor a new append.
	fresh := anEvent(t, 4)
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Any, first[1], first[2], fresh)
	var conflict *eventstream.EventIDConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, fresh.ID, conflict.EventID)
	require.Equal(t, "is new, while others of this append exist already", conflict.Problem)
	require.Empty(t, conflict.FoundStreamID)
	unchanged()

	// A part of an append, and the same with other metadata, is a repetition.
	part := with(first[1], func(e *eventstream.Event) { e.Metadata = []byte(`{"try": 2}`) })
	again, err := b.repo.Append(b.ctx, "order-1", eventstream.Exact(1), part, first[2])
	require.NoError(t, err)
	require.Equal(t, eventstream.AppendResult{
		FirstVersion: 2, LastVersion: 3, LastPosition: 3, CurrentVersion: 3, Duplicate: true,
	}, again)
	unchanged()
	requireAuditClean(t, b)
}

// One id twice in a call cannot be a repetition of anything.
func TestAppendOneIDTwiceInACallIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := anEvent(t, 1)
	_, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, e, e)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	_, err = b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: []eventstream.Event{e}},
		eventstream.AppendRequest{StreamID: "order-2", Expected: eventstream.Any, Events: []eventstream.Event{e}})
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	_, err = b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: []eventstream.Event{e}},
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: []eventstream.Event{e}})
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	count, err := b.repo.CountStreams(b.ctx, eventstream.StreamFilter{})
	require.NoError(t, err)
	require.Zero(t, count)

	// Also once it is there: twice the same event is not what was appended.
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Any, e)
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Any, e, e)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	require.False(t, eventstream.SafeToRetry(err))
}

// Repetitions within AppendMany: all of it again, or some of it together with what is new.
func TestAppendManyRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a, c := someEvents(t, 2), someEvents(t, 1)
	requests := []eventstream.AppendRequest{
		{StreamID: "b-1", Expected: eventstream.Empty, Events: a[:1]},
		{StreamID: "a-1", Expected: eventstream.Empty, Events: c},
		{StreamID: "b-1", Expected: eventstream.Exact(1), Events: a[1:]},
	}
	first, err := b.repo.AppendMany(b.ctx, requests...)
	require.NoError(t, err)
	unchanged := untouched(t, b)
	again, err := b.repo.AppendMany(b.ctx, requests...)
	require.NoError(t, err)
	for i := range first {
		first[i].Duplicate = true
		first[i].CurrentVersion = []int64{2, 1, 2}[i]
	}
	require.Equal(t, first, again)
	unchanged()

	// With a new request among them: that one is appended, the others are what they were.
	mixed, err := b.repo.AppendMany(b.ctx, requests[0],
		eventstream.AppendRequest{StreamID: "c-1", Expected: eventstream.Empty, Events: someEvents(t, 2)},
		requests[2],
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Exact(2), Events: someEvents(t, 1)})
	require.NoError(t, err)
	require.Equal(t, []eventstream.AppendResult{
		first[0],
		{FirstVersion: 1, LastVersion: 2, LastPosition: 6, CurrentVersion: 2},
		first[2],
		// Positions follow the streams' order, not that of the requests.
		{FirstVersion: 3, LastVersion: 3, LastPosition: 4, CurrentVersion: 3},
	}, mixed)

	// Together with one that is refused: nothing is appended, and only that one is reported.
	unchanged = untouched(t, b)
	_, err = b.repo.AppendMany(b.ctx, requests[0],
		eventstream.AppendRequest{StreamID: "c-1", Expected: eventstream.Empty, Events: someEvents(t, 1)})
	var batch *eventstream.BatchError
	require.ErrorAs(t, err, &batch)
	require.Len(t, batch.Refused, 1)
	require.Equal(t, 1, batch.Refused[0].Index)
	require.Equal(t, eventstream.StreamID("c-1"), batch.Refused[0].StreamID)
	unchanged()
	requireAuditClean(t, b)
}

// The database gives ids to events that bring none; then nothing is recognised, since nothing can be.
func TestAppendWithoutEventIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for version := int64(1); version <= 2; version++ {
		var last int64
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT last_version FROM eventstream.append_batch(
			'{order-1}', '{-1}', '{1}', NULL, '{a.b}', NULL)`).Scan(&last))
		require.Equal(t, version, last)
	}
	for _, e := range readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{})) {
		require.Equal(t, uuid.Version(7), e.ID.Version())
		require.Equal(t, uuid.RFC4122, e.ID.Variant())
	}
}
