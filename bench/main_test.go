package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/bench/internal/report"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestRunWritesEverywhere(t *testing.T) {
	t.Parallel()
	docs := t.TempDir()
	out, page := filepath.Join(docs, "results.json"), filepath.Join(docs, "benchmarks.md")
	const begin, end = "<!-- written by go run ./bench -docs: begin -->", "<!-- written by go run ./bench -docs: end -->"
	require.NoError(t, os.WriteFile(page, []byte("before\n"+begin+"\nold\n"+end+"\nafter\n"), 0o600))
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{
		"-only", "append1-new", "-callers", "2", "-rounds", "2", "-duration", "5ms", "-out", out, "-docs", docs,
	}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "append1-new, callers 2: ")

	content, err := os.ReadFile(out)
	require.NoError(t, err)
	var results []map[string]any
	require.NoError(t, json.Unmarshal(content, &results))
	require.Len(t, results, 1)
	require.Equal(t, "append1-new", results[0]["case"])
	written, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(written), "| `append1-new` | 2 | ")
	require.NotContains(t, string(written), "old")
	require.Contains(t, stdout.String(), "append1-new")
	require.FileExists(t, filepath.Join(docs, "benchmarks.svg"))
}

func TestRunRefusesBeforeItStartsAServer(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{"-out", t.TempDir()},
		{"-docs", t.TempDir()},
		{"-rounds", "0"},
		{"throughput", "-rounds", "0"},
		{"cpu", "-streams", "1"},
		{"log", "-events", "1"},
		{"streams", "-streams", "1"},
		{"cpu", "-out", t.TempDir()},
		{"cpu", "log"},
		{"-rounds", "3", "cpu"},
		{"nothing"},
	} {
		var stdout, stderr bytes.Buffer
		require.Error(t, run(t.Context(), arguments, &stdout, &stderr), arguments)
		require.Empty(t, stdout.String(), arguments)
		require.Empty(t, stderr.String(), arguments)
	}
}

func TestHelpNamesCommandsAndFlags(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		var usage bytes.Buffer
		_, err := parse([]string{c.name, "-h"}, &usage)
		require.ErrorIs(t, err, flag.ErrHelp)
		for _, other := range commands() {
			require.Contains(t, usage.String(), "  "+other.name+" ")
		}
		for _, name := range []string{"-out", "-docs", "-rounds"} {
			require.Contains(t, usage.String(), name, c.name)
		}
	}
}

func TestThroughputNeedsNoName(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{nil, {"-rounds", "3"}, {"throughput", "-rounds", "3"}} {
		i, err := parse(arguments, &bytes.Buffer{})
		require.NoError(t, err)
		require.Equal(t, "throughput", i.name)
		require.Empty(t, i.mark())
	}
	i, err := parse([]string{"cpu"}, &bytes.Buffer{})
	require.NoError(t, err)
	require.Equal(t, "cpu", i.mark())
}

func TestProjectPageHasAPartForEachCommand(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		_, err := report.OpenPage("../docs", invocation{named: c}.mark())
		require.NoError(t, err, c.name)
	}
}
