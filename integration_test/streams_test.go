package integration_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Streams lists by partition, tenant and category, in byte order, in pages by key; CountStreams counts the same.
func TestStreams(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repo := pagedRepo(t, b.pool)
	type made struct {
		id        eventstream.StreamID
		tenant    eventstream.TenantID
		partition int
	}
	var all []made
	for _, category := range []string{"order", "orders", "order.x", "Ärger", "cart"} {
		for i := range 7 {
			all = append(all, made{
				id:        eventstream.StreamID(fmt.Sprintf("%s-%d", category, i*5)),
				tenant:    []eventstream.TenantID{"acme", "other"}[i%2],
				partition: i % 3,
			})
		}
	}
	all = append(all, made{"order", "acme", 0}, made{"order-", "other", 1}, made{"order/1", "acme", 2}, made{"ordeR-1", "acme", 2})
	var requests []eventstream.AppendRequest
	for _, m := range all {
		requests = append(requests, eventstream.AppendRequest{
			StreamID: m.id, Expected: eventstream.Empty, Partition: &eventstream.PartitionKey{ID: m.partition, Count: 32},
			Events: someEvents(t, 1, eventstream.WithTenant(m.tenant)),
		})
	}
	_, err := b.repo.AppendMany(b.ctx, requests...)
	require.NoError(t, err)
	slices.SortFunc(all, func(a, b made) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})

	one, none := 1, 31
	for _, filter := range []eventstream.StreamFilter{
		{},
		{Tenant: "acme"},
		{Tenant: "nobody"},
		{Category: "order"},
		{Category: "orders"},
		{Category: "Ärger"},
		{Category: "ord"},
		{Category: "ordeR"},
		{Partition: &one},
		{Partition: &none},
		{Partition: &one, Tenant: "other"},
		{Partition: &one, Category: "cart"},
		{Tenant: "acme", Category: "order"},
		{Partition: &one, Tenant: "other", Category: "order"},
	} {
		var want []eventstream.StreamID
		for _, m := range all {
			if (filter.Partition == nil || *filter.Partition == m.partition) &&
				(filter.Tenant == "" || filter.Tenant == m.tenant) &&
				(filter.Category == "" || filter.Category == m.id.Category()) {
				want = append(want, m.id)
			}
		}
		ids := func(filter eventstream.StreamFilter) (ids []eventstream.StreamID) {
			for _, head := range readAll(t, repo.Streams(b.ctx, filter)) {
				ids = append(ids, head.StreamID)
			}
			return ids
		}
		require.Equal(t, want, ids(filter), "%+v", filter)
		count, err := repo.CountStreams(b.ctx, filter)
		require.NoError(t, err)
		require.Equal(t, int64(len(want)), count, "%+v", filter)

		// Page by page, by hand: the last id of a page leads to the next.
		var paged []eventstream.StreamID
		for page := filter; ; page.After = paged[len(paged)-1] {
			page.Limit = 4
			got := ids(page)
			if paged = append(paged, got...); len(got) < page.Limit {
				break
			}
		}
		require.Equal(t, want, paged, "%+v", filter)
	}

	head := readAll(t, repo.Streams(b.ctx, eventstream.StreamFilter{Category: "cart", Limit: 1}))[0]
	want, err := b.repo.Stream(b.ctx, "cart-0")
	require.NoError(t, err)
	require.Equal(t, want, head)
	require.Equal(t, eventstream.PartitionKey{ID: 0, Count: 32}, head.Partition)
}

func TestStreamsFilterThatCannotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	outside, negative := 32, -1
	for name, filter := range map[string]eventstream.StreamFilter{
		"PartitionOutside":  {Partition: &outside},
		"PartitionNegative": {Partition: &negative},
		"Tenant":            {Tenant: "a b"},
		"Category":          {Category: "order-1"},
		"Limit":             {Limit: -1},
	} {
		_, err := b.repo.CountStreams(b.ctx, filter)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		var got []error
		for _, err := range b.repo.Streams(b.ctx, filter) {
			got = append(got, err)
		}
		require.Len(t, got, 1, name)
		require.ErrorIs(t, got[0], eventstream.ErrInvalidValue, name)
	}
}

// What each partition holds, by its heads.
func TestPartitionStats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stats, err := b.repo.PartitionStats(b.ctx)
	require.NoError(t, err)
	require.Empty(t, stats)
	three, nine := &eventstream.PartitionKey{ID: 3, Count: 32}, &eventstream.PartitionKey{ID: 9, Count: 32}
	_, err = b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "a-1", Expected: eventstream.Empty, Events: someEvents(t, 2), Partition: nine},
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Empty, Events: someEvents(t, 1), Partition: three},
		eventstream.AppendRequest{StreamID: "c-1", Expected: eventstream.Empty, Events: someEvents(t, 1), Partition: nine})
	require.NoError(t, err)
	late := anEvent(t, 1)
	late.Version = 5
	_, err = b.repo.Ingest(b.ctx, "b-1", late)
	require.NoError(t, err)
	stats, err = b.repo.PartitionStats(b.ctx)
	require.NoError(t, err)
	require.Equal(t, []eventstream.PartitionStat{
		{Partition: *three, Streams: 1, Events: 1, Behind: 4, LastPosition: 3},
		{Partition: *nine, Streams: 2, Events: 3, LastPosition: 4},
	}, stats)
}
