package integration_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docFiles are the pages whose claims and blocks are tested, by their paths from the root of the repository.
var docFiles = []string{
	"AGENTS.md", "CHANGELOG.md", "README.md", "docs/audit.md", "docs/benchmarks.md", "docs/command.md", "docs/design.md", "docs/guarantees.md",
	"docs/importing.md", "docs/installing.md", "docs/modelling.md", "docs/modelling-deciders.md", "docs/modelling-processes.md", "docs/modelling-snapshots.md",
	"docs/modelling-tags.md", "docs/schema/README.md", "docs/seals.md", "docs/security.md", "docs/subscriptions.md",
}

// docBlock is a fenced block of a page.
type docBlock struct {
	language string
	text     string
	line     int
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(text)
}

// docBlocks gives the fenced blocks of a page in order.
func docBlocks(t *testing.T, name string) []docBlock {
	t.Helper()
	var blocks []docBlock
	var open *docBlock
	for i, line := range strings.Split(readDoc(t, name), "\n") {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &docBlock{language: language, line: i + 1}
		case fence:
			require.Empty(t, language, "%s:%d: a block in a block", name, i+1)
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	require.Nil(t, open, "%s: the last block is not closed", name)
	return blocks
}

// docProse gives a page without its fenced blocks: Go's type arguments look like links.
func docProse(t *testing.T, name string) string {
	t.Helper()
	text := readDoc(t, name)
	for _, block := range docBlocks(t, name) {
		text = strings.ReplaceAll(text, block.text, "")
	}
	return text
}

// docPromises gives the rows of a page's tables of promises and tests.
func docPromises(t *testing.T, name string) (rows []string) {
	t.Helper()
	inside := false
	for _, line := range strings.Split(readDoc(t, name), "\n") {
		switch {
		case line == "| Guarantee | Test |" || line == "| Promise | Test |":
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && line != "|---|---|":
			rows = append(rows, line)
		}
	}
	return rows
}

// docRegions gives the parts of the examples between the lines "// docs:start" and "// docs:end".
func docRegions(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("example_*_test.go")
	require.NoError(t, err)
	var regions []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, part := range strings.Split(string(text), "// docs:start\n")[1:] {
			region, _, found := strings.Cut(part, "// docs:end\n")
			require.True(t, found, "%s: docs:start without docs:end", file)
			regions = append(regions, strings.TrimSpace(region))
		}
	}
	return regions
}

// declaredTests gives the names of all tests, fuzz targets and examples in the repository.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range declaration.FindAllSubmatch(text, -1) {
			names[string(match[1])] = true
		}
		return err
	})
	require.NoError(t, err)
	return names
}
