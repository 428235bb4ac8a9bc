package integration_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever reads that a test holds a promise can look at the test.
func TestDocsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	declared := declaredTests(t)
	mention := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)")
	mentioned := 0
	for _, name := range docFiles {
		for _, match := range mention.FindAllStringSubmatch(readDoc(t, name), -1) {
			require.True(t, declared[match[1]], "%s names %s, which is no test of ours", name, match[1])
			mentioned++
		}
	}
	require.Greater(t, mentioned, 20)
}

// No page is left out of these tests.
func TestDocsAreAllTested(t *testing.T) {
	t.Parallel()
	var pages []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			pages = append(pages, strings.TrimPrefix(filepath.ToSlash(file), "../"))
		}
	}
	require.ElementsMatch(t, pages, docFiles)
}

// Every promise of a table names a test, and those that the README picked out are among the others.
func TestDocsEveryPromiseNamesATest(t *testing.T) {
	t.Parallel()
	all := map[string]bool{}
	for name, least := range map[string]int{"docs/guarantees.md": 30, "docs/subscriptions.md": 25, "docs/importing.md": 10, "docs/modelling.md": 10, "docs/modelling-snapshots.md": 10, "docs/modelling-processes.md": 15, "docs/command.md": 4, "docs/monitoring.md": 7, "docs/inspector.md": 9, "docs/personal-data.md": 9} {
		rows := docPromises(t, name)
		require.GreaterOrEqual(t, len(rows), least, name)
		for _, row := range rows {
			all[row] = true
			require.Regexp(t, "\\| `(Test|Fuzz)[A-Z]\\w*`.* \\|$", row, "a promise of %s without a test", name)
		}
	}
	picked := docPromises(t, "README.md")
	require.Len(t, picked, 5)
	for _, row := range picked {
		require.Contains(t, all, row, "a promise of the README that docs/guarantees.md does not have")
	}
}

// Each page's SQL blocks are one psql session on a fresh database. A text block that follows one is its output.
func TestDocsSQLGivesTheOutputShown(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for _, name := range docFiles {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			conn := session(t, b).PgConn()
			blocks := docBlocks(t, name)
			roles := docRoles(t, b, blocks)
			for i, block := range blocks {
				if block.language != "sql" {
					continue
				}
				var got strings.Builder
				for _, statement := range docStatements(t, roles.Replace(block.text)) {
					got.WriteString(psqlOutput(b.ctx, t, conn, statement))
				}
				if i+1 < len(blocks) && blocks[i+1].language == "text" {
					require.Equal(t, normalOutput(roles.Replace(blocks[i+1].text)), normalOutput(got.String()), "%s:%d", name, block.line)
				} else {
					require.NotContains(t, got.String(), "ERROR:", "%s:%d", name, block.line)
				}
			}
		})
	}
}

// A Go block of the documentation is the marked part of an example, which is compiled and run.
func TestDocsGoBlocksAreTheExamples(t *testing.T) {
	t.Parallel()
	regions := docRegions(t)
	require.NotEmpty(t, regions)
	shown := 0
	for _, name := range docFiles {
		for _, block := range docBlocks(t, name) {
			if block.language == "go" {
				require.Contains(t, regions, strings.TrimSpace(block.text), "%s:%d", name, block.line)
				shown++
			}
		}
	}
	require.Equal(t, len(regions), shown, "every marked part is shown somewhere")
}

// The code of a package's tour is a part of an example, which is compiled and run.
func TestDocsToursAreTheExamples(t *testing.T) {
	t.Parallel()
	var examples []string
	files, err := filepath.Glob("example_*_test.go")
	require.NoError(t, err)
	for _, file := range files {
		examples = append(examples, withoutIndents(readDoc(t, "integration_test/"+file)))
	}
	block := regexp.MustCompile(`(?m)(?:^//\t.*\n|^//\n//\t.*\n)+`)
	for name, least := range map[string]int{"eventstream/doc.go": 7, "eventstream/subscription/doc.go": 4} {
		blocks := block.FindAllString(readDoc(t, name), -1)
		require.GreaterOrEqual(t, len(blocks), least, name)
		for _, code := range blocks {
			code = withoutIndents(regexp.MustCompile(`(?m)^//`).ReplaceAllString(code, ""))
			require.True(t, slices.ContainsFunc(examples, func(example string) bool { return strings.Contains(example, code) }),
				"%s: no example has this:\n%s", name, code)
		}
	}
}

// withoutIndents is code whose lines begin with their first letter.
func withoutIndents(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

func TestDocsLinksAndMakeTargetsExist(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	target := regexp.MustCompile("(?m)(?:^|`)(?:KEEP=1 )?make ([a-z][a-z-]*)")
	makefile := readDoc(t, "Makefile")
	for _, name := range docFiles {
		text := readDoc(t, name)
		for _, match := range link.FindAllStringSubmatch(docProse(t, name), -1) {
			_, err := os.Stat(filepath.Join("..", filepath.Dir(name), match[1]))
			require.NoError(t, err, "a link in %s", name)
		}
		for _, match := range target.FindAllStringSubmatch(text, -1) {
			require.Contains(t, makefile, "\n"+match[1]+":", "a target in %s", name)
		}
	}
}
