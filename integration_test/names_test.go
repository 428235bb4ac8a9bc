package integration_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// What other stores and languages call their events.
var foreignTypes = []eventstream.EventType{
	"Order$Placed", "Outer+Inner", "$metadata", "1st", "Order Placed", "com.example.Order$Placed", "order_placed", "OrderPlaced.v2", "Order::Placed",
	`MyApp\Order\Placed`, "urn:order/placed", "Order`1[[System.Int32]]", "注文済み", "order-placed", "{}", "%", "'; --", "a,b", `"quoted"`, "NULL", "-", "*",
}

// Histories come in as they are: by every way in, back by every way out, and in filters.
func TestNamesOfOtherStores(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repo := pagedRepo(t, b.pool)
	var events []eventstream.Event
	for _, name := range foreignTypes {
		e, err := eventstream.NewEvent(string(name), map[string]int{"n": 1})
		require.NoError(t, err, name)
		events = append(events, e)
	}
	fresh := func() []eventstream.Event {
		again := make([]eventstream.Event, len(events))
		for i, e := range events {
			e.ID, e.Version = anEvent(t, i).ID, int64(i+1)
			again[i] = e
		}
		return again
	}
	_, err := repo.Append(b.ctx, "appended-1", eventstream.Empty, events...)
	require.NoError(t, err)
	_, err = repo.Ingest(b.ctx, "ingested-1", fresh()...)
	require.NoError(t, err)
	imported := fresh()
	for i := range imported {
		imported[i].StreamID = "imported-1"
	}
	_, err = repo.Import(b.ctx, sourceOf(imported...))
	require.NoError(t, err)
	for _, name := range foreignTypes {
		execSQL(t, b.ctx, b.pool, `SELECT eventstream.append('sql-1', $1::text)`, string(name))
	}

	for _, id := range []eventstream.StreamID{"appended-1", "ingested-1", "imported-1", "sql-1"} {
		stream, err := repo.Load(b.ctx, id)
		require.NoError(t, err)
		var got []eventstream.EventType
		for _, e := range stream.EventsFrom(1) {
			got = append(got, e.Type)
		}
		require.Equal(t, foreignTypes, got, id)
	}
	for _, name := range foreignTypes {
		filter := eventstream.LogFilter{Types: []eventstream.EventType{name}}
		found := readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: filter}))
		require.Len(t, found, 4, name)
		require.Equal(t, name, found[0].Type)
	}

	j := newJournal()
	s := subscribe(t, b, "foreign", subscription.EffectHandler(j.effect), &subscription.Config{
		Filter: eventstream.LogFilter{Types: []eventstream.EventType{"Order$Placed", "$metadata", "Order Placed"}},
	})
	keepRunning(t, b, s)
	for _, e := range j.waitCount(t, b.ctx, 12) {
		require.Contains(t, []eventstream.EventType{"Order$Placed", "$metadata", "Order Placed"}, e.Type)
	}
	requireAuditClean(t, b)
}

// The log and the listing go by one rule: what StreamID.Category says. A stream without a dash is a category by itself, and nothing of the
// names around it gets in.
func TestCategoriesAreTheSameInLogAndListing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repo := pagedRepo(t, b.pool)
	ids := []eventstream.StreamID{
		"order", "order-", "order-1", "order-1-2", "order.1", "order!1", "order,1", "order /1", "order -1", "orders", "orders-1", "Order-1", "ord", "-1", "--",
		"注文", "注文-1", "$all", "$ce-order", "a b-1",
	}
	for _, id := range ids {
		given(t, b, id, 1)
	}
	// Streams that wait for their first event are listed too.
	e := anEvent(t, 2)
	e.Version = 2
	_, err := b.repo.Ingest(b.ctx, "waiting", e)
	require.NoError(t, err)
	require.Equal(t, []eventstream.StreamID{"waiting"}, listed(t, b, repo, eventstream.StreamFilter{Category: "waiting"}))

	for _, id := range ids {
		category := id.Category()
		if category == "" {
			continue // which selects all
		}
		var want []eventstream.StreamID
		for _, other := range ids {
			if other.Category() == category {
				want = append(want, other)
			}
		}
		slices.Sort(want)
		require.Equal(t, want, listed(t, b, repo, eventstream.StreamFilter{Category: category}), category)
		count, err := repo.CountStreams(b.ctx, eventstream.StreamFilter{Category: category})
		require.NoError(t, err)
		require.Equal(t, int64(len(want)), count, category)
		var inLog []eventstream.StreamID
		for _, e := range readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: eventstream.LogFilter{Category: category}})) {
			inLog = append(inLog, e.StreamID)
		}
		slices.Sort(inLog)
		require.Equal(t, want, inLog, category)
		require.Equal(t, string(category), texts(t, b, `SELECT eventstream.category($1)`, string(id))[0])
	}
	for _, category := range []string{"order-1", " order", "a\n", "\xff"} {
		_, inListing := repo.CountStreams(b.ctx, eventstream.StreamFilter{Category: category})
		require.ErrorIs(t, inListing, eventstream.ErrInvalidValue)
		for _, inLog := range repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: eventstream.LogFilter{Category: category}}) {
			require.ErrorIs(t, inLog, eventstream.ErrInvalidValue)
		}
	}
}

func listed(t *testing.T, b *bundle, repo *eventstream.Repository, filter eventstream.StreamFilter) (ids []eventstream.StreamID) {
	t.Helper()
	for _, head := range readAll(t, repo.Streams(b.ctx, filter)) {
		ids = append(ids, head.StreamID)
	}
	return ids
}
