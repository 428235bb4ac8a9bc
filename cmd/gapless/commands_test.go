package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var belowCommand = regexp.MustCompile(`(?m)^  ([a-z]+) `)

// commands are those that the program's help leads to, as somebody finds them who knows nothing else.
func commands(t *testing.T, path ...string) (found []string) {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), "gapless", append(slices.Clone(path), "--help")...).CombinedOutput()
	require.NoError(t, err, "%s", help)
	_, below, isGroup := strings.Cut(string(help), "\nAvailable Commands:\n")
	below, _, _ = strings.Cut(below, "\n\n")
	for _, match := range belowCommand.FindAllStringSubmatch(below, -1) {
		if match[1] != "help" && match[1] != "completion" {
			found = append(found, commands(t, append(slices.Clone(path), match[1])...)...)
		}
	}
	if !isGroup {
		found = append(found, strings.Join(path, " "))
	}
	return found
}

// Every command is tried by a script, with input that it takes and with input that it refuses, and at a terminal.
func TestEveryCommandIsTried(t *testing.T) {
	t.Parallel()
	read := func(pattern string) (all string) {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			all += string(text) + "\n"
		}
		return all
	}
	scripts, sessions := read("testdata/script/*.txtar"), read("testdata/terminal/*.txt")
	all := append(commands(t), "seal") // which has a command below it, and does something by itself
	require.Greater(t, len(all), 25)
	var missing []string
	for _, command := range all {
		name := regexp.QuoteMeta(command) + `\b`
		for what, found := range map[string]bool{
			"a script with good input": regexp.MustCompile(`gapless ` + name).MatchString(scripts),
			"a script with bad input":  regexp.MustCompile(`(?m)^exitcode [1-9]\d* ` + name).MatchString(scripts),
			"a session at a terminal":  regexp.MustCompile(`(?m)^\$ .*gapless ` + name).MatchString(sessions),
		} {
			if !found {
				missing = append(missing, command+": "+what)
			}
		}
	}
	require.Empty(t, missing)
}
