package integration_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// eventOfSize has so many bytes in its payload, its data or its metadata, which can be compressed or not.
func eventOfSize(t *testing.T, random *rand.Rand, size int) eventstream.Event {
	t.Helper()
	content := bytes.Repeat([]byte{'x'}, size)
	if random.IntN(2) == 0 {
		for i := range content {
			content[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[random.IntN(64)]
		}
	}
	switch random.IntN(4) {
	case 0:
		return anEvent(t, size, eventstream.WithData(content))
	case 1:
		return anEvent(t, size, eventstream.WithMetadata(map[string]string{"content": string(content)}))
	default:
		e, err := eventstream.NewEvent("order.placed", map[string]string{"content": string(content)})
		require.NoError(t, err)
		return e
	}
}

// digest is all that an event says.
func digest(e eventstream.Event) string {
	return fmt.Sprintf("%s %d %x %x %x", e.StreamID, e.Version, sha256.Sum256(e.Payload), sha256.Sum256(e.Data), sha256.Sum256(e.Metadata))
}

// Wherever pages are cut, every event comes once, in order, whole and numbered: small ones, large ones, those at the border, and one that is
// larger than all that may be held.
func TestLogGivesEverythingWhateverTheSizes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 0, 0, 100, 900, 1000, 1010, 1024, 1100, 3000, 60_000, 300_000}
	for i := range 60 {
		events := make([]eventstream.Event, 10)
		for j := range events {
			events[j] = eventOfSize(t, random, sizes[random.IntN(1+i*len(sizes)/60)])
		}
		if i == 50 {
			events[5] = eventOfSize(t, random, 3<<20)
		}
		_, err := b.repo.Append(b.ctx, streamName(i%4), eventstream.Any, events...)
		require.NoError(t, err)
	}
	want, counts := map[eventstream.StreamID][]string{}, map[int]int{}
	for i := range 4 {
		stream, err := b.repo.Load(b.ctx, streamName(i)) // in one piece
		require.NoError(t, err)
		for _, e := range stream.EventsFrom(1) {
			want[stream.StreamID()] = append(want[stream.StreamID()], digest(e))
			counts[e.PartitionID]++
		}
	}
	requireAll := func(what string, log iter.Seq2[eventstream.LogEvent, error], backwards bool, count int) {
		got, last, seen := map[eventstream.StreamID][]string{}, int64(0), 0
		for e, err := range log {
			require.NoError(t, err, what)
			if last != 0 && count == 600 {
				require.Equal(t, int64(1), max(e.Sequence-last, last-e.Sequence), what)
			}
			got[e.StreamID], last = append(got[e.StreamID], digest(e.Event)), e.Sequence
			seen++
		}
		require.Equal(t, count, seen, what)
		for id := range got {
			if backwards {
				slices.Reverse(got[id])
			}
			require.Equal(t, want[id], got[id], what)
		}
	}
	for _, pageSize := range []int{1, 7, 500} {
		repo, err := eventstream.NewRepository(b.pool, &eventstream.Config{PageSize: pageSize, MaxReadBytes: 1 << 20})
		require.NoError(t, err)
		for _, backwards := range []bool{false, true} {
			what := fmt.Sprintf("pages of %d, backwards %t", pageSize, backwards)
			requireAll(what, repo.ReadLog(b.ctx, eventstream.LogOptions{Backwards: backwards}), backwards, 600)
			requireAll(what+", by type", repo.ReadLog(b.ctx, eventstream.LogOptions{
				Backwards: backwards, Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.placed"}},
			}), backwards, 600)
			for partition, count := range counts {
				requireAll(what+", by partition", repo.ReadLog(b.ctx, eventstream.LogOptions{
					Backwards: backwards, Filter: eventstream.LogFilter{Partitions: []int{partition}},
				}), backwards, count)
			}
			var got []string
			for e, err := range repo.Read(b.ctx, streamName(1), eventstream.ReadOptions{Backwards: backwards}) {
				require.NoError(t, err)
				got = append(got, digest(e))
			}
			if backwards {
				slices.Reverse(got)
			}
			require.Equal(t, want[streamName(1)], got, what)
		}
	}
}
