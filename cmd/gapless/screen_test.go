package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// screen is what a terminal shows: as much of one as this program and its progress bars ask for.
type screen struct {
	rows     [][]cell
	row, col int
	style    string
	rest     string
}

// cell is a character and its style.
type cell struct {
	char  rune
	style string
}

var escape = regexp.MustCompile(`^\x1b(\[[?0-9;]*[a-zA-Z]|[^\[])`)

// write takes what comes out; a sequence that is cut off waits for its rest.
func (s *screen) write(text string) {
	text, s.rest = s.rest+text, ""
	for text != "" {
		if text[0] == '\x1b' {
			sequence := escape.FindString(text)
			if sequence == "" {
				s.rest = text
				return
			}
			s.control(sequence)
			text = text[len(sequence):]
			continue
		}
		next := strings.IndexByte(text, '\x1b')
		if next < 0 {
			next = len(text)
		}
		for next > 0 {
			if !utf8.FullRuneInString(text[:next]) {
				s.rest = text
				return
			}
			char, size := utf8.DecodeRuneInString(text)
			s.put(char)
			text, next = text[size:], next-size
		}
	}
}

func (s *screen) put(char rune) {
	switch char {
	case '\r':
		s.col = 0
		return
	case '\n':
		s.row++
		return
	case '\b':
		s.col = max(s.col-1, 0)
		return
	case '\a':
		return
	}
	for len(s.rows) <= s.row {
		s.rows = append(s.rows, nil)
	}
	for len(s.rows[s.row]) <= s.col {
		s.rows[s.row] = append(s.rows[s.row], cell{char: ' '})
	}
	s.rows[s.row][s.col] = cell{char, s.style}
	s.col++
}

// control does what a sequence asks for: to go up, to wipe what is below, or another style.
func (s *screen) control(sequence string) {
	number, _ := strconv.Atoi(strings.Trim(sequence, "\x1b[ABCDEFGHJKm"))
	switch sequence[len(sequence)-1] {
	case 'A':
		s.row = max(s.row-max(number, 1), 0)
	case 'J':
		if s.row < len(s.rows) {
			s.rows = s.rows[:s.row+1]
		}
		s.wipeLine()
	case 'K':
		s.wipeLine()
	case 'm':
		s.style = strings.Trim(sequence, "\x1b[m")
		if s.style == "0" {
			s.style = ""
		}
	}
}

func (s *screen) wipeLine() {
	if s.row < len(s.rows) {
		s.rows[s.row] = s.rows[s.row][:min(s.col, len(s.rows[s.row]))]
	}
}

// text is the screen, with each change of style in ‹›, and without the space at the ends of lines and at its own end.
func (s *screen) text() string {
	var lines []string
	for _, row := range s.rows {
		var line strings.Builder
		style := ""
		for _, c := range append(row[:len(row):len(row)], cell{}) {
			if c.style != style {
				style = c.style
				line.WriteString("‹" + style + "›")
			}
			if c.char != 0 {
				line.WriteRune(c.char)
			}
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func TestScreen(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"one\r\ntwo\r\n":                         "one\ntwo",
		"\x1b[1mNAME\x1b[0m  n\r\n":              "‹1›NAME‹›  n",
		"bar 1\r\nbar 2\r\n\x1b[2A\x1b[Jend\r\n": "end",
		"50 %\r100 %":                            "100 %",
		"100 %\r5\x1b[K":                         "5",
		"a text t…":                              "a text t…",
		"\x1b[?25lcursor\x1b[?25h":               "cursor",
	} {
		var whole, bytewise screen
		whole.write(written)
		for i := range len(written) {
			bytewise.write(written[i : i+1])
		}
		require.Equal(t, want, whole.text())
		require.Equal(t, want, bytewise.text())
	}
}
