package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const page = "../../docs/command.md"

// Each console block of the page is run, in order, in one database and one directory; what it shows is what comes out on a terminal, but for times,
// ids and colours. UPDATE_PAGE=1 writes what comes out into the page.
func TestCommandPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	run := pageShell(t)
	var want, got strings.Builder
	commands, inside := 0, false
	for line := range strings.Lines(string(text)) {
		want.WriteString(line)
		switch {
		case line == "```console\n":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside && !strings.HasPrefix(line, "$ "):
			continue // output, which comes from the command above
		}
		got.WriteString(line)
		if inside && strings.HasPrefix(line, "$ ") {
			got.WriteString(run(strings.TrimPrefix(line, "$ ")))
			commands++
		}
	}
	require.Greater(t, commands, 15)
	if os.Getenv("UPDATE_PAGE") != "" {
		require.NoError(t, os.WriteFile(page, []byte(got.String()), 0o644))
		return
	}
	require.Equal(t, squeeze(want.String()), squeeze(got.String()))
}

// squeeze also makes columns comparable whose width depends on a time's digits.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(normal(text)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// pageShell gives what runs a command line with the program as on a terminal, in a fresh database, and returns what it prints.
func pageShell(t *testing.T) func(line string) string {
	t.Helper()
	program, err := exec.LookPath("gapless")
	require.NoError(t, err)
	dir, bin := t.TempDir(), t.TempDir()
	wrapper := "#!/bin/sh\nexec '" + program + "' --table \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "gapless"), []byte(wrapper), 0o700))
	name, server := newName(), os.Getenv(envServer)
	require.NoError(t, execute(server, "CREATE DATABASE "+name))
	t.Cleanup(func() { require.NoError(t, execute(server, "DROP DATABASE "+name+" WITH (FORCE)")) })
	return func(line string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "DATABASE_URL="+onDatabase(server, name), "PATH="+bin+":"+os.Getenv("PATH"))
		out, _ := cmd.CombinedOutput() // what fails says so
		return string(out)
	}
}
