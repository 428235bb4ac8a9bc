package report

import (
	"math"
	"slices"
	"time"
)

// Median is the middle value, or the mean of the two in the middle; NaN of nothing.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Spread is the distance of the extremes, as a share of the median.
func Spread(values []float64) float64 {
	return (slices.Max(values) - slices.Min(values)) / Median(values)
}

// Ratios divides round by round, so that what slows a whole round down cancels out.
func Ratios(values, base []float64) []float64 {
	ratios := make([]float64, len(values))
	for i := range values {
		ratios[i] = values[i] / base[i]
	}
	return ratios
}

// Quantile is the value at or below which a share of the sorted values lies.
func Quantile[T any](sorted []T, share float64) T {
	return sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)]
}

// Milliseconds gives a time with three decimals.
func Milliseconds(d time.Duration) float64 { return Round(float64(d.Nanoseconds())/1e6, 3) }

// Round leaves so many decimals: there is nothing behind them but noise.
func Round(x float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(x*unit) / unit
}
