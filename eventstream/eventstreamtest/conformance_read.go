package eventstreamtest

import (
	"testing"

	"github.com/gaplesspg/gapless/eventstream"
)

func readTests() []conformanceTest {
	return []conformanceTest{
		{"ReadAPart", readAPart},
		{"ReadWhatCannotBe", readWhatCannotBe},
		{"ReadMayBeLeft", readMayBeLeft},
		{"ReadWhileItIsWritten", readWhileItIsWritten},
	}
}

func readAPart(t *testing.T, store eventstream.Store) {
	appendTo(t, store, "thing-1", newEvents(t, 5)...)
	for _, c := range []struct {
		opts eventstream.ReadOptions
		want []int64
	}{
		{eventstream.ReadOptions{}, []int64{1, 2, 3, 4, 5}},
		{eventstream.ReadOptions{From: 4}, []int64{4, 5}},
		{eventstream.ReadOptions{From: 6}, []int64{}},
		{eventstream.ReadOptions{From: 2, Limit: 2}, []int64{2, 3}},
		{eventstream.ReadOptions{Backwards: true}, []int64{5, 4, 3, 2, 1}},
		{eventstream.ReadOptions{Backwards: true, From: 3}, []int64{3, 2, 1}},
		{eventstream.ReadOptions{Backwards: true, From: 9, Limit: 2}, []int64{5, 4}},
	} {
		got := []int64{}
		for _, e := range all(t, store.Read(t.Context(), "thing-1", c.opts)) {
			got = append(got, e.Version)
		}
		equal(t, c.want, got, "versions")
	}
}

func readWhatCannotBe(t *testing.T, store eventstream.Store) {
	isErrorLike(t, onlyError(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{})),
		&eventstream.StreamNotFoundError{StreamID: "thing-1"}, "no stream")
	isError(t, onlyError(t, store.Read(t.Context(), "", eventstream.ReadOptions{})), eventstream.ErrInvalidValue, "no id")
	isError(t, onlyError(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{From: -1})), eventstream.ErrInvalidValue, "From")
	isError(t, onlyError(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{Limit: -1})), eventstream.ErrInvalidValue, "Limit")
}

// A reading begins anew each time it is ranged over.
func readMayBeLeft(t *testing.T, store eventstream.Store) {
	appendTo(t, store, "thing-1", newEvents(t, 3)...)
	reading := store.Read(t.Context(), "thing-1", eventstream.ReadOptions{})
	for range 2 {
		for e, err := range reading {
			noError(t, err)
			equal(t, int64(1), e.Version, "version")
			break
		}
	}
}

// The body of the loop may use the store.
func readWhileItIsWritten(t *testing.T, store eventstream.Store) {
	appendTo(t, store, "thing-1", newEvents(t, 2)...)
	for e, err := range store.Read(t.Context(), "thing-1", eventstream.ReadOptions{Limit: 2}) {
		noError(t, err)
		appendTo(t, store, "copy-1", newEvent(t, string(e.Type), e.Version))
	}
	for e, err := range store.ReadLog(t.Context(), eventstream.LogOptions{}) {
		noError(t, err)
		appendTo(t, store, "copy-2", newEvent(t, string(e.Type), e.Sequence))
	}
	untouched(t, store, 8)
}
