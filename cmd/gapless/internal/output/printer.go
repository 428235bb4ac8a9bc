// Package output prints what commands have to say: aligned tables and colours on a terminal, lines of tab-separated cells elsewhere, and
// a JSON object a line with --json. Nothing that comes out of a database can move a terminal's cursor.
package output

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Printer writes results to one place in one format.
type Printer struct {
	w io.Writer
	// JSON writes an object a line in place of text. Default: false.
	JSON bool
	// Table aligns cells under headings. Default: whether the output is a terminal.
	Table bool
	// Color marks headings and states. Default: whether the output is a terminal and NO_COLOR is not set.
	Color bool
	// Width is how many cells of text a line holds; 0 is no limit.
	Width int
}

// New returns a printer for a place, with the defaults that fit it.
func New(w io.Writer) *Printer {
	p := &Printer{w: w}
	if !IsTerminal(w) {
		return p
	}
	p.Table = true
	p.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(w.(*os.File).Fd())); err == nil {
		p.Width = width
	}
	return p
}

// IsTerminal says whether what is read or written is a terminal.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Record writes one result: value as a JSON object, or its fields, each a name and a text.
func (p *Printer) Record(value any, fields ...[2]string) error {
	if p.JSON {
		return p.object(value)
	}
	width := 0
	for _, field := range fields {
		width = max(width, textWidth(field[0]))
	}
	out := bufio.NewWriter(p.w)
	for _, field := range fields {
		name, text := Clean(field[0]), Clean(field[1])
		if p.Table {
			fmt.Fprintln(out, strings.TrimRight(p.paint(bold, pad(name, width, false))+"  "+p.state(text), " "))
		} else {
			fmt.Fprintln(out, name+"\t"+text)
		}
	}
	return out.Flush()
}

// Say writes a line for people; scripts that asked for JSON get none.
func (p *Printer) Say(format string, args ...any) error {
	if p.JSON {
		return nil
	}
	_, err := fmt.Fprintln(p.w, Clean(fmt.Sprintf(format, args...)))
	return err
}

// object writes JSON on a line.
func (p *Printer) object(value any) error {
	enc := json.NewEncoder(p.w)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}
