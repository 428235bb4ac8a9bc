package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
)

// machine is where the numbers come from.
type machine struct {
	postgres, fsync, commit, buffers string
	// ungrouped says that the repository was told to let every Append commit by itself.
	ungrouped bool
}

// String gives one line.
func (m machine) String() string {
	line := fmt.Sprintf("%d CPUs (%s/%s), %s; PostgreSQL %s with fsync=%s, synchronous_commit=%s, shared_buffers=%s",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), m.postgres, m.fsync, m.commit, m.buffers)
	if m.ungrouped {
		line += "; Config.Group.Off"
	}
	return line
}

// report is what a run found out.
type report struct {
	machine machine
	results []result
	storage []relation
	// stored is the number of events behind storage.
	stored int
}

// writeText prints tables for a terminal.
func (r report) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\n\n", r.machine)
	if len(r.results) > 0 {
		fmt.Fprintln(t, "case\tcallers\tevents/s\tratio\tspread\tratio spread\tp50 ms\tp99 ms\traw events/s\traw p50\traw p99\t")
	}
	for _, x := range r.results {
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.2f\t%.0f%%\t%.0f%%\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t\n",
			x.Case, x.Callers, x.Rate, x.Ratio, 100*x.Spread, 100*x.ratioSpread, x.P50, x.P99, x.RawRate, x.RawP50, x.RawP99)
	}
	if len(r.storage) > 0 {
		fmt.Fprintf(t, "\nbytes per event, of %d\ttable\tindexes\ttotal\t\n", r.stored)
	}
	for _, s := range r.storage {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t\n", s.name, s.table, s.indexes, s.total())
	}
	return t.Flush()
}

// writeJSON writes the list of results.
func (r report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(append([]result{}, r.results...))
}
