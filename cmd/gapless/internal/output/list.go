package output

import (
	"bufio"
	"fmt"
	"strings"
)

// tablePage is how many rows a table looks at before it settles the widths of its columns: a long one comes out while it is read.
const tablePage = 200

// List writes rows that have the same columns. Add as many as there are, and Flush in the end.
type List struct {
	p       *Printer
	columns []string
	numeric []bool
	rows    [][]string
	widths  []int
	headed  bool
}

// List begins a list. A column whose name begins with # holds numbers, which are aligned to the right.
func (p *Printer) List(columns ...string) *List {
	l := &List{p: p, numeric: make([]bool, len(columns)), widths: make([]int, len(columns))}
	for i, column := range columns {
		name, isNumber := strings.CutPrefix(column, "#")
		l.columns, l.numeric[i] = append(l.columns, name), isNumber
	}
	return l
}

// Add writes a row: value as a JSON object, or its cells.
func (l *List) Add(value any, cells ...string) error {
	if l.p.JSON {
		return l.p.object(value)
	}
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = Clean(cell)
	}
	if !l.p.Table {
		_, err := fmt.Fprintln(l.p.w, strings.Join(row, "\t"))
		return err
	}
	l.rows = append(l.rows, row)
	if len(l.rows) == tablePage {
		return l.Flush()
	}
	return nil
}

// Flush writes what a table has gathered.
func (l *List) Flush() error {
	if len(l.rows) == 0 {
		return nil
	}
	for i, column := range l.columns {
		l.widths[i] = max(l.widths[i], textWidth(column))
	}
	for _, row := range l.rows {
		for i, cell := range row {
			l.widths[i] = max(l.widths[i], textWidth(cell))
		}
	}
	out := bufio.NewWriter(l.p.w)
	if !l.headed {
		fmt.Fprintln(out, l.p.paint(bold, l.line(l.columns, false)))
		l.headed = true
	}
	for _, row := range l.rows {
		fmt.Fprintln(out, l.line(row, true))
	}
	l.rows = l.rows[:0]
	return out.Flush()
}

// line lays out cells; the last one is cut where the terminal's line ends.
func (l *List) line(cells []string, states bool) string {
	var b strings.Builder
	used, last := 0, len(cells)-1
	for i, cell := range cells {
		if i > 0 {
			b.WriteString("  ")
			used += 2
		}
		if i == last && l.p.Width > 0 {
			cell = cut(cell, l.p.Width-used)
		}
		text := pad(cell, l.widths[i], l.numeric[i])
		if i == last && !l.numeric[i] {
			text = cell
		}
		if states {
			text = strings.Replace(text, cell, l.p.state(cell), 1)
		}
		b.WriteString(text)
		used += l.widths[i]
	}
	return strings.TrimRight(b.String(), " ")
}
