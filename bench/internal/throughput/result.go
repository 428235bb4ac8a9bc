package throughput

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/bench/internal/report"
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

	// longest is the longest call in milliseconds: whether anybody starves shows there.
	longest float64
	// ratioSpread is (highest - lowest) / median of the ratios.
	ratioSpread float64
	// grown says that the base is a smaller store rather than plain PostgreSQL.
	grown bool
}

// summarize compares samples with those of the same rounds that are their base.
func summarize(name string, callers int, base, samples []sample) result {
	rates, baseRates := rates(samples), rates(base)
	ratios := report.Ratios(rates, baseRates)
	calls, baseCalls := latencies(samples), latencies(base)
	at := func(sorted []time.Duration, share float64) float64 {
		return report.Milliseconds(report.Quantile(sorted, share))
	}
	return result{
		Case: name, Callers: callers,
		Rate:   report.Round(report.Median(rates), 1),
		Ratio:  report.Round(report.Median(ratios), 3),
		Spread: report.Round(report.Spread(rates), 3),
		P50:    at(calls, 0.5), P99: at(calls, 0.99), longest: at(calls, 1),
		RawRate: report.Round(report.Median(baseRates), 1), RawP50: at(baseCalls, 0.5), RawP99: at(baseCalls, 0.99),
		ratioSpread: report.Round(report.Spread(ratios), 3),
	}
}

// String gives one line for whoever waits.
func (r result) String() string {
	return fmt.Sprintf("%s, callers %d: %.0f events/s, %.2f of %.0f", r.Case, r.Callers, r.Rate, r.Ratio, r.RawRate)
}

// table gives all results for people.
func table(results []result) report.Table {
	t := report.Table{Strong: 3, Columns: []string{
		"case", "callers", "events/s", "ratio", "spread", "spread of ratio", "p50 ms", "p99 ms", "max ms",
		"raw events/s", "raw p50 ms", "raw p99 ms",
	}}
	for _, x := range results {
		t.Add(x.Case, strconv.Itoa(x.Callers), report.Number(x.Rate, 0), report.Number(x.Ratio, 2),
			report.Percent(x.Spread), report.Percent(x.ratioSpread), report.Number(x.P50, 2), report.Number(x.P99, 2),
			report.Number(x.longest, 2), report.Number(x.RawRate, 0), report.Number(x.RawP50, 2), report.Number(x.RawP99, 2))
	}
	return t
}

// rates gives the events per second of each sample.
func rates(samples []sample) []float64 {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = float64(s.events) / s.took.Seconds()
	}
	return all
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
