package integration_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link to a part of a page finds it: the anchor is made of a heading as GitHub makes it, and the site does.
func TestDocsLinksFindTheirHeadings(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#: ]*)#([^)]+)\)`)
	checked := 0
	for _, name := range docFiles {
		for _, match := range link.FindAllStringSubmatch(docProse(t, name), -1) {
			target := name
			if match[1] != "" {
				target = path.Join(path.Dir(name), match[1])
			}
			if !strings.HasSuffix(target, ".md") {
				continue
			}
			require.Contains(t, headingAnchors(t, target), match[2], "%s links to %s", name, target)
			checked++
		}
	}
	require.Greater(t, checked, 100)
}

// Every page of the manual is found from its start page, which links to it or to a page that does.
func TestDocsEveryPageIsFoundFromTheStart(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#: ]+\.md)(?:#[^)]*)?\)`)
	found, next := map[string]bool{"docs/README.md": true}, []string{"docs/README.md"}
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		for _, match := range link.FindAllStringSubmatch(docProse(t, name), -1) {
			target := path.Join(path.Dir(name), match[1])
			if !found[target] && strings.HasPrefix(target, "docs/") {
				found[target] = true
				next = append(next, target)
			}
		}
	}
	start := docProse(t, "docs/README.md")
	for _, name := range docFiles {
		if strings.HasPrefix(name, "docs/") {
			require.True(t, found[name], "%s is not found from docs/README.md", name)
		}
		if path.Dir(name) == "docs" && name != "docs/README.md" {
			require.Contains(t, start, "("+path.Base(name), "docs/README.md does not name it")
		}
	}
}

// headingAnchors gives the anchors of a page's headings: lower case, without punctuation, spaces as hyphens; a number for the second of a kind.
func headingAnchors(t *testing.T, name string) (anchors []string) {
	t.Helper()
	_, err := os.Stat(filepath.Join("..", filepath.FromSlash(name)))
	require.NoError(t, err)
	seen := map[string]int{}
	for _, match := range regexp.MustCompile(`(?m)^#{1,6} (.*)$`).FindAllStringSubmatch(docProse(t, name), -1) {
		anchor := anchorOf(match[1])
		if n := seen[anchor]; n > 0 {
			seen[anchor]++
			anchor += "-" + string(rune('0'+n))
		} else {
			seen[anchor] = 1
		}
		anchors = append(anchors, anchor)
	}
	return anchors
}

func anchorOf(heading string) string {
	heading = strings.ToLower(strings.TrimSpace(heading))
	heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, "")
	return strings.ReplaceAll(heading, " ", "-")
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	t.Parallel()
	for heading, anchor := range map[string]string{
		"Append: lock, look, insert": "append-lock-look-insert", "`log --follow`": "log---follow", "Why not just SELECT?": "why-not-just-select",
		"3. Append, project": "3-append-project", "advance_watermark": "advance_watermark",
	} {
		require.Equal(t, anchor, anchorOf(heading))
	}
}
