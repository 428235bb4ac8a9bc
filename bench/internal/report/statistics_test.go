package report

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMedianAndSpread(t *testing.T) {
	t.Parallel()
	values := []float64{9, 1, 5}
	require.InDelta(t, 5, Median(values), 0)
	require.Equal(t, []float64{9, 1, 5}, values, "rounds stay in order")
	require.InDelta(t, 3, Median([]float64{1, 5, 4, 2}), 0)
	require.True(t, math.IsNaN(Median(nil)))
	require.InDelta(t, 1.5, Spread([]float64{1, 4, 2}), 0)
	require.InDelta(t, 1.235, Round(1.23456, 3), 0)
}

func TestRatioIsTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// The second round was slow for both: a ratio of medians would say 4.
	require.InDelta(t, 2, Median(Ratios([]float64{2, 40, 8}, []float64{1, 20, 2})), 0)
}

func TestQuantileIsAValueThatOccurred(t *testing.T) {
	t.Parallel()
	var sorted []time.Duration
	for ms := range 100 {
		sorted = append(sorted, time.Duration(ms+1)*time.Millisecond)
	}
	require.InDelta(t, 50, Milliseconds(Quantile(sorted, 0.5)), 0)
	require.InDelta(t, 99, Milliseconds(Quantile(sorted, 0.99)), 0)
	require.InDelta(t, 100, Milliseconds(Quantile(sorted, 1)), 0)
	require.InDelta(t, 1, Milliseconds(Quantile(sorted[:1], 0.99)), 0)
}
