package eventstream_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

var (
	day1 = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	day2 = day1.AddDate(0, 0, 1)
	key5 = eventstream.PartitionKey{ID: 5, Count: 32}
)

// stored returns events of stream "s", tenant "acme", as a database would give them back.
func stored(t testing.TB, versions ...int64) []eventstream.Event {
	events := make([]eventstream.Event, 0, len(versions))
	for _, version := range versions {
		e := newEvent(t, "a", eventstream.WithTenant("acme"), eventstream.WithOccurredAt(day1),
			eventstream.WithData([]byte{byte(version)}), eventstream.WithMetadata(map[string]int64{"v": version}))
		e.StreamID, e.Version, e.Position, e.PartitionID, e.RecordedAt = "s", version, version*10, key5.ID, day1
		events = append(events, e)
	}
	return events
}

func load(t testing.TB, base, current, watermark int64, versions ...int64) *eventstream.EventStream {
	t.Helper()
	s, err := eventstream.ReconstructFrom(base, "s", key5, current, watermark, stored(t, versions...), nil, day1, day2)
	require.NoError(t, err)
	return s
}

func versionsOf(events []eventstream.Event) []int64 {
	versions := []int64{}
	for _, e := range events {
		versions = append(versions, e.Version)
	}
	return versions
}

func appendN(t testing.TB, s *eventstream.EventStream, n int) {
	t.Helper()
	for range n {
		_, err := s.AppendEvent(newEvent(t, "a"))
		require.NoError(t, err)
	}
}

func TestANewStreamIsEmpty(t *testing.T) {
	t.Parallel()
	before := time.Now().Add(-time.Millisecond)
	s := eventstream.New("order-1")
	require.Equal(t, eventstream.StreamID("order-1"), s.StreamID())
	key, err := eventstream.PartitionOf("order-1", eventstream.DefaultPartitionCount)
	require.NoError(t, err)
	require.Equal(t, key, s.PartitionKey())
	require.Zero(t, s.CurrentVersion())
	require.Zero(t, s.Watermark())
	require.Zero(t, s.BaseVersion())
	require.Zero(t, s.EventCount())
	require.Empty(t, s.TenantID())
	require.True(t, s.HasConsistentTenant())
	require.True(t, s.IsGapless())
	require.Equal(t, []eventstream.Event{}, s.EventsFrom(1))
	require.Equal(t, []eventstream.Event{}, s.NewEvents())
	_, expected := s.ExpectedVersion()
	require.False(t, expected)
	require.WithinRange(t, s.CreatedAt(), before, time.Now())
	require.Equal(t, s.CreatedAt(), s.UpdatedAt())
}

func TestEventsFromIsInclusiveAndNeverAnError(t *testing.T) {
	t.Parallel()
	whole, based, held := load(t, 0, 4, 4, 1, 2, 3, 4), load(t, 2, 4, 4, 3, 4), load(t, 0, 9, 2, 1, 2)
	for _, c := range []struct {
		s    *eventstream.EventStream
		from int64
		want []int64
	}{
		{whole, 1, []int64{1, 2, 3, 4}},
		{whole, 3, []int64{3, 4}},
		{whole, 4, []int64{4}},
		{whole, 5, []int64{}},
		{whole, 0, []int64{}},
		{whole, -1, []int64{}},
		{whole, -1 << 63, []int64{}},
		{whole, 1<<63 - 1, []int64{}},
		{based, 1, []int64{3, 4}},
		{based, 2, []int64{3, 4}},
		{based, 3, []int64{3, 4}},
		{based, 4, []int64{4}},
		{based, 5, []int64{}},
		{based, 0, []int64{}},
		{held, 2, []int64{2}},
		{held, 3, []int64{}},
		{held, 9, []int64{}},
	} {
		got := c.s.EventsFrom(c.from)
		require.NotNil(t, got)
		require.Equal(t, c.want, versionsOf(got), "from %d of %s", c.from, c.s)
	}
}

func TestWhatAStreamHandsOutIsACopy(t *testing.T) {
	t.Parallel()
	s := load(t, 0, 2, 1, 1, 2)
	want := s.EventsFrom(1)
	for _, events := range [][]eventstream.Event{s.EventsFrom(1), s.NewEvents()} {
		for i := range events {
			events[i].Payload[0], events[i].Data[0], events[i].Metadata[0] = 'x', 'x', 'x'
			events[i].Version = 99
		}
	}
	require.Empty(t, cmp.Diff(want, s.EventsFrom(1)))
	require.True(t, s.IsGapless())
}

func TestNewEventsAreThoseAboveTheWatermark(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int64{3, 4}, versionsOf(load(t, 0, 4, 2, 1, 2, 3, 4).NewEvents()))
	require.Equal(t, []int64{4}, versionsOf(load(t, 2, 4, 3, 3, 4).NewEvents()))
	require.Empty(t, load(t, 2, 4, 4, 3, 4).NewEvents())
	s := load(t, 2, 2, 2)
	require.Empty(t, s.NewEvents())
	appendN(t, s, 2)
	require.Equal(t, []int64{3, 4}, versionsOf(s.NewEvents()))
	require.Equal(t, int64(2), s.Watermark())
}

func TestTenantIsThatOfTheFirstEvent(t *testing.T) {
	t.Parallel()
	events := stored(t, 1, 2)
	events[1].TenantID = "other"
	s, err := eventstream.Reconstruct("s", key5, 2, 2, events, nil, day1, day2)
	require.NoError(t, err, "a mixed stream can be looked at")
	require.Equal(t, eventstream.TenantID("acme"), s.TenantID())
	require.False(t, s.HasConsistentTenant())
	require.True(t, load(t, 0, 2, 2, 1, 2).HasConsistentTenant())
}

func TestCloneIsIndependent(t *testing.T) {
	t.Parallel()
	s := load(t, 0, 2, 2, 1, 2)
	require.NoError(t, s.ExpectVersion(2))
	want := s.EventsFrom(1)
	c := s.Clone()
	require.Equal(t, s, c)

	_, err := c.AppendEvent(newEvent(t, "a"))
	require.NoError(t, err)
	require.Equal(t, int64(2), s.CurrentVersion())
	require.Equal(t, day2, s.UpdatedAt())
	version, expected := s.ExpectedVersion()
	require.True(t, expected)
	require.Equal(t, int64(2), version)

	d := s.Clone()
	_, err = d.AppendEvent(newEvent(t, "b"))
	require.NoError(t, err)
	require.Equal(t, eventstream.EventType("a"), c.EventsFrom(3)[0].Type)
	require.NoError(t, s.ExpectVersion(7))
	require.Empty(t, cmp.Diff(want, s.EventsFrom(1)))
	_, expected = d.ExpectedVersion()
	require.False(t, expected)
}

// Three appends leave room in the slice for a fourth: clones that shared it would write their next event into one place.
func TestClonesDoNotGrowIntoEachOther(t *testing.T) {
	t.Parallel()
	s := eventstream.New("s")
	appendN(t, s, 3)
	clones := []*eventstream.EventStream{s, s.Clone(), s.Clone()}
	kinds := []eventstream.EventType{"original", "first", "second"}
	for i, c := range clones {
		_, err := c.AppendEvent(newEvent(t, string(kinds[i])))
		require.NoError(t, err)
	}
	for i, c := range clones {
		require.Equal(t, kinds[i], c.EventsFrom(4)[0].Type)
	}
}

func TestStringSaysWhereTheStreamStands(t *testing.T) {
	t.Parallel()
	require.Equal(t, `stream "s" at version 4 (watermark 3, 1 new, partition-5/32)`, load(t, 0, 4, 3, 1, 2, 3, 4).String())
	require.Contains(t, eventstream.New("a\nb").String(), `"a\nb"`)
}
