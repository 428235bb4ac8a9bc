package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// result is what a case costs in one state and mode.
type result struct {
	// Case is state/mode/name.
	Case string `json:"case"`
	// US is the median of the microseconds of server CPU per event.
	US float64 `json:"us"`
	// Ratio is the cost as a multiple of the bare INSERT of the same shape: as many events a call, on as many streams.
	Ratio float64 `json:"ratio"`
	// RatioBare1 is the cost per event as a multiple of the bare INSERT of one event a call.
	RatioBare1 float64 `json:"ratio_bare_1"`
	// Spread is (highest - lowest) / median of the microseconds.
	Spread float64 `json:"spread"`

	state, mode, name string
}

// summarize makes results of samples[case][round]. The first case is the bare INSERT of one event.
func summarize(state, mode string, cases []testCase, samples [][]float64) []result {
	results := make([]result, len(cases))
	for i, c := range cases {
		results[i] = result{
			Case:       state + "/" + mode + "/" + c.name,
			US:         round(median(samples[i])),
			Ratio:      round(medianRatio(samples[i], samples[bareLike(cases, c)])),
			RatioBare1: round(medianRatio(samples[i], samples[0])),
			Spread:     round(spread(samples[i])),
			state:      state, mode: mode, name: c.name,
		}
	}
	return results
}

// bareLike finds the bare case to compare with. A bare table knows no new streams.
func bareLike(cases []testCase, c testCase) int {
	want := c.shape
	if want == newStream {
		want = oneStream
	}
	return slices.IndexFunc(cases, func(base testCase) bool { return base.size == c.size && base.shape == want })
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

// medianRatio divides round by round, so that what slows a whole round down cancels out.
func medianRatio(values, base []float64) float64 {
	ratios := make([]float64, len(values))
	for i := range values {
		ratios[i] = values[i] / base[i]
	}
	return median(ratios)
}

// spread is the distance of the extremes, as a share of the median.
func spread(values []float64) float64 {
	return (slices.Max(values) - slices.Min(values)) / median(values)
}

// round leaves two decimals: there is nothing behind them but noise.
func round(x float64) float64 {
	return math.Round(x*100) / 100
}

// writeTable prints a block for each state and mode.
func writeTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	block := ""
	for _, r := range results {
		if name := r.state + ", " + r.mode; name != block {
			block = name
			fmt.Fprintf(t, "\n%s\tus/event\tspread\tx same shape\tx bare 1\t\n", block)
		}
		fmt.Fprintf(t, "%s\t%.2f\t%.0f%%\t%.2f\t%.2f\t\n", r.name, r.US, 100*r.Spread, r.Ratio, r.RatioBare1)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// writeJSON writes a list of results.
func writeJSON(w io.Writer, results []result) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(results)
}
