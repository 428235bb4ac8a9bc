package output

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Styles of a terminal, as their numbers.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// timeFormat is how times are printed: in UTC, to the microsecond that the database keeps, all of one width, so that columns stay in line.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// Time prints a time in UTC; a zero one is empty.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

// Int prints a number.
func Int[T int | int32 | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// Bytes prints a size in binary units.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + string(units[unit]) + "iB"
}

// Clean makes text safe for a terminal, for lines of cells and for a page: what is not printed is escaped, as a line feed or a sequence that moves the
// cursor.
func Clean(text string) string {
	if strings.IndexFunc(text, isUnsafe) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isUnsafe(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isUnsafe says of a character that a terminal would act on it, or that it would change the order of those around it.
func isUnsafe(r rune) bool { return !unicode.IsPrint(r) && r != ' ' }

func textWidth(text string) int { return runewidth.StringWidth(text) }

func pad(text string, width int, right bool) string {
	space := strings.Repeat(" ", max(width-textWidth(text), 0))
	if right {
		return space + text
	}
	return text + space
}

// cut shortens text to a width, with a mark that it was cut.
func cut(text string, width int) string {
	return runewidth.Truncate(text, max(width, 8), "…")
}

// paint puts text into a style, on a terminal that has colours.
func (p *Printer) paint(style, text string) string {
	if !p.Color || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// states are words that say how something is, and their colours.
func (p *Printer) state(text string) string {
	switch text {
	case "error", "problem", "owner is gone":
		return p.paint(red, text)
	case "warning", "paused", "free", "pending":
		return p.paint(yellow, text)
	case "ok", "owned", "applied":
		return p.paint(green, text)
	}
	return text
}
