package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// result is what a case came to with a number of callers.
type result struct {
	// Case is the case's name.
	Case string `json:"case"`
	// Callers is how many called at once.
	Callers int `json:"callers"`
	// Rate is the median of the events per second.
	Rate float64 `json:"rate"`
	// Ratio is the median of the rounds' rate / raw rate.
	Ratio float64 `json:"ratio"`
	// P50 and P99 are milliseconds of a call, over all rounds.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	// Spread is (highest - lowest) / median of the rates.
	Spread float64 `json:"spread"`
	// RawRate, RawP50 and RawP99 are the same of what it is compared with.
	RawRate float64 `json:"raw_rate"`
	RawP50  float64 `json:"raw_p50_ms"`
	RawP99  float64 `json:"raw_p99_ms"`

	// ratioSpread is (highest - lowest) / median of the ratios.
	ratioSpread float64
	// grown says that the base is a smaller store rather than plain PostgreSQL.
	grown bool
}

// summarize compares samples with those of the same rounds that are their base.
func summarize(name string, callers int, base, samples []sample) result {
	rates, baseRates, ratios := make([]float64, len(samples)), make([]float64, len(samples)), make([]float64, len(samples))
	for i := range samples {
		rates[i], baseRates[i] = samples[i].rate(), base[i].rate()
		ratios[i] = rates[i] / baseRates[i]
	}
	calls, baseCalls := latencies(samples), latencies(base)
	return result{
		Case: name, Callers: callers,
		Rate: round(median(rates), 1), Ratio: round(median(ratios), 3), Spread: round(spread(rates), 3),
		P50: quantile(calls, 0.5), P99: quantile(calls, 0.99),
		RawRate: round(median(baseRates), 1), RawP50: quantile(baseCalls, 0.5), RawP99: quantile(baseCalls, 0.99),
		ratioSpread: round(spread(ratios), 3),
	}
}

// String gives one line for whoever waits.
func (r result) String() string {
	return fmt.Sprintf("%s, callers %d: %.0f events/s, %.2f of %.0f", r.Case, r.Callers, r.Rate, r.Ratio, r.RawRate)
}

// latencies gives those of all samples, sorted.
func latencies(samples []sample) []time.Duration {
	var all []time.Duration
	for _, s := range samples {
		all = append(all, s.latencies...)
	}
	slices.Sort(all)
	return all
}

// quantile is the value in milliseconds at or below which a share of the sorted values lies.
func quantile(sorted []time.Duration, share float64) float64 {
	at := max(int(math.Ceil(share*float64(len(sorted))))-1, 0)
	return round(float64(sorted[at].Nanoseconds())/1e6, 3)
}

// median is the middle value, or the mean of the two in the middle; NaN of nothing.
func median(values []float64) float64 {
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

// spread is the distance of the extremes, as a share of the median.
func spread(values []float64) float64 {
	return (slices.Max(values) - slices.Min(values)) / median(values)
}

// round leaves so many decimals: there is nothing behind them but noise.
func round(x float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(x*unit) / unit
}
