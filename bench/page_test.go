package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sampleReport() report {
	return report{
		machine: machine{postgres: "17.1", fsync: "on", commit: "on", buffers: "1GB"},
		results: []result{
			{Case: "append10", Callers: 1, Rate: 1234, Ratio: 0.5, Spread: 0.1, ratioSpread: 0.2, P50: 1.5, P99: 2.5, RawRate: 2468},
			{Case: "append10", Callers: 64, Ratio: 2},
			{Case: "log", Callers: 1, Ratio: 1000},
			{Case: "growth-load-1000", Callers: 1, Ratio: 1, grown: true},
		},
		storage: []relation{{name: "bare.events", table: 400, indexes: 100}},
		stored:  1000,
	}
}

func TestPageKeepsWhatIsAroundTheMarks(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, pageName)
	require.NoError(t, os.WriteFile(path, []byte("above\n"+beginMark+"\nold\n"+endMark+"\nbelow\n"), 0o600))
	var first string
	for range 2 {
		p, err := openPage(directory)
		require.NoError(t, err)
		require.NoError(t, p.write(sampleReport()))
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		if first == "" {
			first = string(content)
		}
		require.Equal(t, first, string(content), "writing again changes nothing")
	}
	require.True(t, strings.HasPrefix(first, "above\n"+beginMark+"\n\nMachine: "))
	require.True(t, strings.HasSuffix(first, "\n"+endMark+"\nbelow\n"))
	require.NotContains(t, first, "old")
	require.Contains(t, first, "PostgreSQL 17.1 with fsync=on")
	require.NotContains(t, first, "Off")
	require.Contains(t, machine{ungrouped: true}.String(), "; Config.Group.Off")
	require.Contains(t, first, "| `append10` | 1 | 1234 | **0.50** | 10 % | 20 % | 1.50 | 2.50 | 2468 |")
	require.Contains(t, first, "| `bare.events` | 400 | 100 | 500 |")
}

func TestPageWithoutMarksIsLeftAlone(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	_, err := openPage(directory)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, content := range []string{"", beginMark, endMark + beginMark} {
		require.NoError(t, os.WriteFile(filepath.Join(directory, pageName), []byte(content), 0o600))
		_, err := openPage(directory)
		require.ErrorIs(t, err, errNoMarks)
	}
	none, err := openPage("")
	require.NoError(t, err)
	require.NoError(t, none.write(sampleReport()))
}

func TestProjectPageHasTheMarks(t *testing.T) {
	t.Parallel()
	_, err := openPage("../docs")
	require.NoError(t, err)
	content, err := os.ReadFile("../docs/" + pageName)
	require.NoError(t, err)
	for _, name := range names() {
		require.Contains(t, string(content), "| `"+name, "the page explains every case")
	}
}

func TestChartIsXMLWithABarForEachResult(t *testing.T) {
	t.Parallel()
	decoder := xml.NewDecoder(strings.NewReader(sampleReport().chart()))
	elements := map[string]int{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
	require.Equal(t, 3+1, elements["rect"], "and the background; not the growth, which is compared with itself")
	require.Equal(t, 2*chartEnds+1, elements["line"])
}

func TestChartIsLogarithmicAndEnds(t *testing.T) {
	t.Parallel()
	middle := chartX(1)
	require.InDelta(t, chartX(2)-middle, middle-chartX(0.5), 1e-9)
	require.InDelta(t, 2*(chartX(2)-middle), chartX(4)-middle, 1e-9)
	require.InDelta(t, labelWidth, chartX(0.001), 0)
	require.InDelta(t, chartWidth-numberWidth, chartX(1000), 0)
	require.InDelta(t, labelWidth, chartX(0), 0)
}

func TestTextHasEveryNumber(t *testing.T) {
	t.Parallel()
	var text, list bytes.Buffer
	require.NoError(t, sampleReport().writeText(&text))
	for _, part := range []string{"append10", "1234", "0.50", "10%", "20%", "2468", "bare.events", "500"} {
		require.Contains(t, text.String(), part)
	}
	require.NoError(t, report{}.writeJSON(&list))
	require.Equal(t, "[]\n", list.String(), "a list, even of nothing")
}
