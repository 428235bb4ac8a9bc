package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	values := []float64{9, 1, 5}
	require.InDelta(t, 5, median(values), 0)
	require.Equal(t, []float64{9, 1, 5}, values, "rounds stay in order")
	require.InDelta(t, 3, median([]float64{1, 5, 4, 2}), 0)
	require.True(t, math.IsNaN(median(nil)))
}

func TestRatioIsTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// The second round was slow for both: a ratio of medians would say 4.
	require.InDelta(t, 2, medianRatio([]float64{2, 40, 8}, []float64{1, 20, 2}), 0)
	require.InDelta(t, 1.5, spread([]float64{1, 4, 2}), 0)
}

func TestSummarizeComparesLikeWithLike(t *testing.T) {
	t.Parallel()
	cases := newBenchmark(nil, options{}, nil).cases()
	samples := make([][]float64, len(cases))
	for i := range samples {
		samples[i] = []float64{float64(i + 1)}
	}
	results := summarize("installed", "autocommit", cases, samples)
	require.Len(t, results, 10)
	for i, base := range []int{0, 1, 2, 0, 0, 1, 2, 0, 1, 2} {
		require.Equal(t, "installed/autocommit/"+cases[i].name, results[i].Case)
		require.InDelta(t, samples[i][0]/samples[base][0], results[i].Ratio, 0.005)
		require.InDelta(t, samples[i][0], results[i].RatioBare1, 0)
		require.Zero(t, results[i].Spread)
	}
}

func TestParseSchedstat(t *testing.T) {
	t.Parallel()
	d, err := parseSchedstat("123456 789 10\n")
	require.NoError(t, err)
	require.EqualValues(t, 123456, d)
	_, err = parseSchedstat("0 0 0\n")
	require.ErrorIs(t, err, errNoSchedstat)
	_, err = parseSchedstat("")
	require.Error(t, err)
}

func TestStreamsAreUsedInTurn(t *testing.T) {
	t.Parallel()
	s := &streams{store: "test"}
	s.grow(5)
	seen := map[string]int{}
	for _, target := range append(s.targets(ownStreams, 9), s.targets(oneStream, 100)...) {
		require.Len(t, target.id, 42)
		seen[target.id]++
	}
	require.Len(t, seen, 5)
	for _, times := range seen {
		require.Equal(t, 2, times)
	}
	require.NotContains(t, seen, s.targets(newStream, 1)[0].id)
	require.Len(t, payload, 200)
}
