package cpu

import (
	"github.com/gaplesspg/gapless/bench/internal/report"
)

// result is what a case costs in one state and mode.
type result struct {
	// Case is state/mode/name.
	Case string `json:"case"`
	// US is the median of the microseconds of server CPU per event.
	US float64 `json:"us"`
	// Ratio is the cost as a multiple of the bare INSERT of the same shape: as many events a call, on as many streams.
	Ratio float64 `json:"ratio"`
	// Spread is (highest - lowest) / median of the microseconds.
	Spread float64 `json:"spread"`

	// ratioSpread is the same of the ratios of the rounds.
	ratioSpread       float64
	state, mode, name string
}

// summarize makes results of the samples of each case, round by round.
func summarize(state, mode string, samples map[string][]float64) []result {
	var results []result
	for _, group := range groups() {
		base := samples[group[0].name]
		for _, c := range group {
			ratios := report.Ratios(samples[c.name], base)
			results = append(results, result{
				Case:        state + "/" + mode + "/" + c.name,
				US:          report.Round(report.Median(samples[c.name]), 2),
				Ratio:       report.Round(report.Median(ratios), 2),
				Spread:      report.Round(report.Spread(samples[c.name]), 2),
				ratioSpread: report.Round(report.Spread(ratios), 2),
				state:       state, mode: mode, name: c.name,
			})
		}
	}
	return results
}

// tables gives one for each state and mode.
func tables(results []result) []report.Table {
	var all []report.Table
	for _, r := range results {
		title := "Server CPU, " + r.state + ", " + r.mode
		if len(all) == 0 || all[len(all)-1].Title != title {
			all = append(all, report.Table{
				Title: title, Strong: 3, Columns: []string{"case", "us per event", "spread", "x bare INSERT", "spread of ratio"},
			})
		}
		all[len(all)-1].Add(r.name, report.Number(r.US, 1), report.Percent(r.Spread), report.Number(r.Ratio, 2), report.Percent(r.ratioSpread))
	}
	return all
}
