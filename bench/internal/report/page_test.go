package report

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sample() Report {
	t := Table{Title: "Some", Columns: []string{"case", "callers", "ratio"}, Strong: 2}
	t.Add("append10", "64", Number(0.5, 2))
	return Report{
		Results: []int{}, Tables: []Table{t}, Chart: "<svg/>", Remark: "Config.Group.Off",
		Notes: []Note{{Title: "Plan", Text: "Index Scan\n  on events\n"}},
	}
}

func TestPageKeepsWhatIsAroundTheMarks(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"", "cpu"} {
		directory := t.TempDir()
		path := filepath.Join(directory, pageName)
		begin, end := marks(map[string]string{"": "", "cpu": "cpu "}[command])
		require.NoError(t, os.WriteFile(path, []byte("above\n"+begin+"\nold\n"+end+"\nbelow\n"), 0o600))
		var first string
		for range 2 {
			p, err := OpenPage(directory, command)
			require.NoError(t, err)
			require.NoError(t, p.Write(sample(), Machine{Settings: "PostgreSQL 17.1", Before: 0.1, After: 2}))
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			if first == "" {
				first = string(content)
			}
			require.Equal(t, first, string(content), "writing again changes nothing")
		}
		require.True(t, strings.HasPrefix(first, "above\n"+begin+"\n\nMachine: "))
		require.True(t, strings.HasSuffix(first, "\n"+end+"\nbelow\n"))
		require.NotContains(t, first, "old")
		require.Contains(t, first, "PostgreSQL 17.1; load 0.10 before, 2.00 after; Config.Group.Off.\n")
		require.Contains(t, first, "Some:\n\n| case | callers | ratio |\n|---|--:|--:|\n| `append10` | 64 | **0.50** |\n")
		require.Contains(t, first, "Plan:\n\n```\nIndex Scan\n  on events\n```\n")
		require.FileExists(t, filepath.Join(directory, chartName))
	}
}

func TestPageWithoutMarksIsLeftAlone(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	_, err := OpenPage(directory, "")
	require.ErrorIs(t, err, fs.ErrNotExist)
	begin, end := marks("")
	for _, content := range []string{"", begin, end + begin} {
		require.NoError(t, os.WriteFile(filepath.Join(directory, pageName), []byte(content), 0o600))
		_, err := OpenPage(directory, "")
		require.ErrorContains(t, err, "the page needs these two lines")
	}
	none, err := OpenPage("", "")
	require.NoError(t, err)
	require.NoError(t, none.Write(sample(), Machine{}))
}

func TestTextAndJSONHaveEverything(t *testing.T) {
	t.Parallel()
	var text, list bytes.Buffer
	require.NoError(t, sample().WriteText(&text, Machine{Settings: "PostgreSQL 17.1", Before: -1}))
	for _, part := range []string{"PostgreSQL 17.1; Config.Group.Off\n", "Some:\n", "callers", "append10", "64", "0.50", "Plan:\nIndex Scan\n"} {
		require.Contains(t, text.String(), part)
	}
	require.NotContains(t, text.String(), "load")
	require.NoError(t, sample().WriteJSON(&list))
	require.Equal(t, "[]\n", list.String(), "a list, even of nothing")
}

func TestABusyMachineIsWarnedOf(t *testing.T) {
	t.Parallel()
	require.Empty(t, Machine{Before: -1}.Warning())
	require.Empty(t, Machine{Before: 0.01}.Warning())
	require.Contains(t, Machine{Before: 1000}.Warning(), "load 1000.00")
	require.GreaterOrEqual(t, Load(), -1.0)
	require.Equal(t, "12 %", Percent(0.12))
}
