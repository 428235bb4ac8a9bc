package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	pageName  = "benchmarks.md"
	chartName = "benchmarks.svg"

	// The tool writes between these, and leaves the rest of the page alone.
	beginMark = "<!-- written by go run ./bench -docs: begin -->"
	endMark   = "<!-- written by go run ./bench -docs: end -->"
)

var errNoMarks = errors.New("the page needs these two lines, in this order: " + beginMark + " and " + endMark)

// page is the documentation that gets the results; nil is none.
type page struct {
	directory     string
	before, after string
}

// openPage reads the page of a directory.
func openPage(directory string) (*page, error) {
	if directory == "" {
		return nil, nil
	}
	path := filepath.Join(directory, pageName)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	before, rest, begun := strings.Cut(string(content), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		return nil, fmt.Errorf("%s: %w", path, errNoMarks)
	}
	return &page{directory: directory, before: before, after: after}, nil
}

// write puts the results in their place, and the chart beside the page.
func (p *page) write(r report) error {
	if p == nil {
		return nil
	}
	text := p.before + beginMark + "\n\n" + r.markdown() + "\n" + endMark + p.after
	return errors.Join(
		os.WriteFile(filepath.Join(p.directory, pageName), []byte(text), 0o644),
		os.WriteFile(filepath.Join(p.directory, chartName), []byte(r.chart()), 0o644))
}

// markdown gives the tables of the page.
func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Machine: %s.\n", r.machine)
	if len(r.results) > 0 {
		fmt.Fprintf(&b, "\n![Ratio to plain PostgreSQL by case and callers](%s)\n", chartName)
		b.WriteString("\n| case | callers | events/s | ratio | spread | spread of ratio | p50 ms | p99 ms | raw events/s | raw p50 ms | raw p99 ms |\n" +
			"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	}
	for _, x := range r.results {
		fmt.Fprintf(&b, "| `%s` | %d | %.0f | **%.2f** | %.0f %% | %.0f %% | %.2f | %.2f | %.0f | %.2f | %.2f |\n",
			x.Case, x.Callers, x.Rate, x.Ratio, 100*x.Spread, 100*x.ratioSpread, x.P50, x.P99, x.RawRate, x.RawP50, x.RawP99)
	}
	if len(r.storage) > 0 {
		fmt.Fprintf(&b, "\nBytes on disk per event, of %d events in streams of %d:\n\n"+
			"| relation | table | indexes | total |\n|---|--:|--:|--:|\n", r.stored, shortStream)
	}
	for _, s := range r.storage {
		fmt.Fprintf(&b, "| `%s` | %.0f | %.0f | %.0f |\n", s.name, s.table, s.indexes, s.total())
	}
	return b.String()
}
