package integration_test

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// walk is what whoever operates a store has to do some day: the word that they look for on the start page of the manual, and the statement or
// command that does it.
var walk = []struct{ task, word, answer string }{
	{"find who holds the log back", "holds the log back", "FROM eventstream.audit_log"},
	{"pause a subscription that is stuck", "pause", "gapless subscriptions pause"},
	{"replay an event that was parked", "replay", "gapless subscriptions replay NAME --exec PROGRAM"},
	{"rebuild a projection", "rebuild a projection", "projector.Rebuild(ctx, nil)"},
	{"restore a backup", "restore", "pg_restore --exit-on-error"},
	{"check what was restored", "check it", "SELECT * FROM eventstream.audit()"},
	{"find a gap in a stream", "gap", "SELECT * FROM eventstream.audit_gaps"},
	{"give a new service its rights", "grant a service", "GRANT EXECUTE ON FUNCTION eventstream.append_batch"},
	{"erase a person", "erase a person", "eventstream.erase('person-7'"},
	{"seal history, and keep the seal", "seal", "gapless seal >seals"},
	{"make an index on a large table", "index", "gapless index create type"},
	{"be told that a subscription lags", "a subscription lags", "GaplessSubscriptionLags"},
	{"upgrade while processes run", "upgrade", "gapless migrate up"},
}

// Each is found in two steps: a word on the start page, and a link from that line to the part of a page that has the answer.
func TestDocsOperatingTasksAreTwoStepsAway(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile(`(?m)^\| ([^|]+) \| .*?\]\(([^)#]+)(?:#([^)]+))?\)`)
	rows := row.FindAllStringSubmatch(readDoc(t, "docs/README.md"), -1)
	require.Greater(t, len(rows), 60)
	for _, step := range walk {
		found, answered := 0, false
		for _, r := range rows {
			if !strings.Contains(r[1], step.word) {
				continue
			}
			found++
			answered = answered || strings.Contains(docSection(t, path.Join("docs", r[2]), r[3]), step.answer)
		}
		require.True(t, answered, "%s: none of %d lines of docs/README.md with %q leads to %q", step.task, found, step.word, step.answer)
		require.LessOrEqual(t, found, 3, "%s: %q leads to too many places", step.task, step.word)
	}
}

// docSection gives the part of a page below a heading, up to the next heading that is not below it; without one the whole page.
func docSection(t *testing.T, name, anchor string) string {
	t.Helper()
	if anchor == "" {
		return readDoc(t, name)
	}
	var section strings.Builder
	level, fenced := 0, false
	for line := range strings.Lines(readDoc(t, name)) {
		fenced = fenced != strings.HasPrefix(line, "```")
		if hashes := len(line) - len(strings.TrimLeft(line, "#")); hashes > 0 && !fenced {
			switch {
			case level == 0 && anchorOf(line[hashes:]) == anchor:
				level = hashes
			case level > 0 && hashes <= level:
				return section.String()
			}
		}
		if level > 0 {
			section.WriteString(line)
		}
	}
	require.NotZero(t, level, "%s has no heading for %s", name, anchor)
	return section.String()
}
