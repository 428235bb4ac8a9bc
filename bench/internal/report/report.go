// Package report has what all measurements share once they have their numbers: statistics, tables, and where they are written.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Report is what a run found out.
type Report struct {
	// Results is a list, for JSON.
	Results any
	// Tables are for people.
	Tables []Table
	// Notes follow the tables as they are, such as plans.
	Notes []Note
	// Chart is an SVG that shows the results on the page. Default: none.
	Chart string
	// Remark says how this run differs from the usual. Default: none.
	Remark string
}

// Note is text with line breaks of its own.
type Note struct{ Title, Text string }

// WriteText prints everything for a terminal.
func (r Report) WriteText(w io.Writer, m Machine) error {
	fmt.Fprintln(w, r.origin(m))
	for _, t := range r.Tables {
		fmt.Fprintln(w)
		if err := t.text(w); err != nil {
			return err
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "\n%s:\n%s\n", n.Title, strings.TrimSpace(n.Text))
	}
	return nil
}

// WriteJSON writes the list of results.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r.Results)
}

// markdown gives what stands on the page.
func (r Report) markdown(m Machine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Machine: %s.\n", r.origin(m))
	if r.Chart != "" {
		fmt.Fprintf(&b, "\n![Ratio to plain PostgreSQL by case and callers](%s)\n", chartName)
	}
	for _, t := range r.Tables {
		b.WriteString("\n" + t.markdown())
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n%s:\n\n```\n%s\n```\n", n.Title, strings.TrimSpace(n.Text))
	}
	return b.String()
}

func (r Report) origin(m Machine) string {
	if r.Remark == "" {
		return m.String()
	}
	return m.String() + "; " + r.Remark
}
