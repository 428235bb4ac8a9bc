package command

import (
	"maps"
	"slices"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/foreign"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

// reported is a dry run as --json has it.
type reported struct {
	*foreign.Report
	DryRun bool `json:"dry_run"`
}

// maxShownTypes is how many types a dry run shows to people; --json has them all.
const maxShownTypes = 40

// printReport prints what a dry run found: what there is, what is left out, the types, and what cannot be imported.
func (i *importFrom) printReport(report *foreign.Report) error {
	if i.out.JSON {
		return i.out.Record(reported{report, i.flags.dryRun})
	}
	rows := [][2]string{
		{"events", output.Int(report.Events)},
		{"streams", output.Int(report.Streams)},
		{"there already", output.Int(report.There)},
		{"first", output.Time(report.First)},
		{"last", output.Time(report.Last)},
	}
	for _, why := range slices.Sorted(maps.Keys(report.LeftOut)) {
		rows = append(rows, [2]string{"left out: " + why, output.Int(report.LeftOut[why])})
	}
	for n, name := range slices.Sorted(maps.Keys(report.Types)) {
		if n == maxShownTypes {
			rows = append(rows, [2]string{"type: (more)", output.Int(len(report.Types) - maxShownTypes)})
			break
		}
		rows = append(rows, [2]string{"type: " + name, output.Int(report.Types[name])})
	}
	for _, refusal := range report.Refused {
		rows = append(rows, [2]string{"refused: " + string(refusal.Reason), output.Int(refusal.Events) + ", as " + refusal.Example})
	}
	if !report.Complete {
		rows = append(rows, [2]string{"not compared", "streams and ids beyond what is remembered: the import itself judges them"})
	}
	return i.out.Record(report, rows...)
}
