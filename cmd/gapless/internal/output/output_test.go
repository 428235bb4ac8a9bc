package output

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingMovesTheCursor(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"plain é 漢 😀":       "plain é 漢 😀",
		"\x1b[31mred":       `\x1b[31mred`,
		"two\nlines\ttab":   `two\nlines\ttab`,
		"\u202eright":       `\u202eright`,
		"bad \xff byte":     "bad \ufffd byte",
		"c1 \u009b control": `c1 \u009b control`,
	} {
		require.Equal(t, want, Clean(given))
	}
}

// The width of wide characters counts, and the last cell ends with the terminal's line.
func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &Printer{w: &out, Table: true, Width: 24}
	list := p.List("NAME", "#COUNT", "TEXT")
	require.NoError(t, list.Add(nil, "漢", "7", "a text that is too long"))
	require.NoError(t, list.Add(nil, "abc", "1234567", "short"))
	require.NoError(t, list.Flush())
	require.Equal(t, "NAME    COUNT  TEXT\n漢          7  a text t…\nabc   1234567  short\n", out.String())
}

func TestLinesAndJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &Printer{w: &out}
	require.NoError(t, p.List("A", "#B").Add(nil, "x\ty", "7"))
	require.NoError(t, p.Record(nil, [2]string{"name", "value"}))
	p.JSON = true
	require.NoError(t, p.List("A").Add(map[string]string{"a": "<&>"}, "not shown"))
	require.NoError(t, p.Say("not shown"))
	require.Equal(t, "x\\ty\t7\nname\tvalue\n{\"a\":\"<&>\"}\n", out.String())
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 1<<63 - 1: "8.0 EiB"} {
		require.Equal(t, want, Bytes(n))
	}
}
