package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table is what a person reads, in a terminal or on a page.
type Table struct {
	// Title stands above the table. Default: none.
	Title string
	// Columns are the names; the first column names the row.
	Columns []string
	// Strong is the column that is bold on the page. Default: none.
	Strong int
	// Rows have a cell for each column.
	Rows [][]string
}

// Add puts a row at the end.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Percent gives a share as a cell.
func Percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// Number gives a cell with so many decimals.
func Number(x float64, decimals int) string { return fmt.Sprintf("%.*f", decimals, x) }

// text prints the table for a terminal.
func (t Table) text(w io.Writer) error {
	if t.Title != "" {
		fmt.Fprintln(w, t.Title+":")
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		fmt.Fprintln(out, strings.Join(row, "\t")+"\t")
	}
	return out.Flush()
}

// markdown gives the table for a page.
func (t Table) markdown() string {
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(t.Title + ":\n\n")
	}
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(t.Columns)
	b.WriteString("|---|" + strings.Repeat("--:|", len(t.Columns)-1) + "\n")
	for _, row := range t.Rows {
		cells := append([]string{"`" + row[0] + "`"}, row[1:]...)
		if t.Strong > 0 {
			cells[t.Strong] = "**" + cells[t.Strong] + "**"
		}
		line(cells)
	}
	return b.String()
}
