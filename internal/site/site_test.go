package main

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/leftout"
)

// built gives the files of the site, by their names.
func built(t *testing.T) map[string]string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "site")
	err := build(t.Context(), "../..", out)
	if errors.Is(err, errNoHugo) && os.Getenv("CI") == "" {
		leftout.Skip(t, err)
	}
	require.NoError(t, err)
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(out, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		rel, err := filepath.Rel(out, path)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	}))
	return files
}

// has says whether a file is there, without printing them all if not.
func has(files map[string]string, name string) bool {
	_, there := files[name]
	return there
}

var (
	address  = regexp.MustCompile(`\s(href|src)="([^"]*)"`)
	identity = regexp.MustCompile(`\sid="([^"]*)"`)
)

// Every link of the site finds its page and its heading, and nothing is loaded from elsewhere.
func TestSiteHasNoDeadLinks(t *testing.T) {
	t.Parallel()
	files := built(t)
	ids := map[string]map[string]bool{}
	for name, text := range files {
		if strings.HasSuffix(name, ".html") {
			ids[name] = map[string]bool{}
			for _, match := range identity.FindAllStringSubmatch(text, -1) {
				require.False(t, ids[name][match[1]], "%s has two of id %s", name, match[1])
				ids[name][match[1]] = true
			}
		}
	}
	require.Greater(t, len(ids), 30)
	checked := 0
	for name := range ids {
		for _, match := range address.FindAllStringSubmatch(files[name], -1) {
			target, err := url.Parse(strings.ReplaceAll(match[2], "&amp;", "&"))
			require.NoError(t, err, name)
			if target.Scheme != "" || target.Host != "" {
				require.Equal(t, "href", match[1], "%s loads %s", name, match[2])
				require.False(t, strings.Contains(files[name], `rel="stylesheet" href="`+match[2]), "%s loads %s", name, match[2])
				continue
			}
			to := strings.TrimPrefix(target.Path, "./")
			if to == "" {
				to = name
			}
			require.True(t, has(files, to), "%s links to %s", name, match[2])
			if target.Fragment != "" && strings.HasSuffix(to, ".html") {
				require.True(t, ids[to][target.Fragment], "%s links to %s", name, match[2])
			}
			checked++
		}
	}
	require.Greater(t, checked, 1000)
	for _, name := range []string{"site.css", "search.js"} {
		require.NotContains(t, files[name], "http", name+" loads something from elsewhere")
	}
}

// The search knows every page, and finds by its words what is on it.
func TestSiteSearchKnowsEveryPage(t *testing.T) {
	t.Parallel()
	files := built(t)
	var index []entry
	script := strings.TrimPrefix(files["index.js"], "window.searchIndex = ")
	require.NoError(t, json.Unmarshal([]byte(strings.TrimSuffix(script, ";\n")), &index))
	found := map[string]int{}
	for _, part := range index {
		page, id, _ := strings.Cut(part.URL, "#")
		require.True(t, has(files, page), page)
		require.Contains(t, files[page], `id="`+id+`"`)
		require.NotEmpty(t, part.Title)
		require.NotContains(t, part.Text, "<td>")
		found[page]++
	}
	for name, text := range files {
		if strings.HasSuffix(name, ".html") {
			require.Equal(t, len(heading.FindAllString(text, -1)), found[name], "headings of %s", name)
		}
	}
}

// In a browser, opened from the disk: the search finds the page on what is asked, and nothing where there is nothing.
func TestSiteSearchInABrowser(t *testing.T) {
	t.Parallel()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		leftout.Skip(t, errors.New("chromium is not on this machine: apt-get install chromium"))
	}
	out := filepath.Join(t.TempDir(), "site")
	err = build(t.Context(), "../..", out)
	if errors.Is(err, errNoHugo) {
		leftout.Skip(t, err)
	}
	require.NoError(t, err)
	for asked, first := range map[string]string{
		"subscription is stuck": "operations-trouble.html#a-subscription-is-stuck", "full disk": "operations-trouble.html#a-full-disk",
		"point-in-time recovery": "operations-backup.html#base-backup-and-point-in-time-recovery", "append_batch": "reference-sql.html#append_batch",
		"no such words anywhere": "",
	} {
		page := "file://" + out + "/quickstart.html?q=" + url.QueryEscape(asked)
		cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
			"--user-data-dir="+t.TempDir(), "--virtual-time-budget=5000", "--dump-dom", page)
		dom, err := cmd.Output()
		require.NoError(t, err)
		_, list, _ := strings.Cut(string(dom), `<ol id="found"`)
		list, _, _ = strings.Cut(list, "</ol>")
		if first == "" {
			require.Contains(t, list, "Nothing found", asked)
			continue
		}
		_, list, _ = strings.Cut(list, `href="`)
		list, _, _ = strings.Cut(list, `"`)
		require.Equal(t, first, filepath.Base(list), asked)
	}
}

// Every page is in the menu of every page.
func TestSiteMenuHasEveryPage(t *testing.T) {
	t.Parallel()
	files := built(t)
	for name := range files {
		if strings.HasSuffix(name, ".html") {
			require.True(t, strings.Contains(files["quickstart.html"], `<li><a href="`+name+`"`), "%s is not in the menu", name)
		}
	}
}

func TestSiteRefusesALinkToNowhere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, write(filepath.Join(root, "docs", "README.md"), "# Start\n\n[there](other.md#part) `[not](one)`\n"))
	require.NoError(t, write(filepath.Join(root, "docs", "other.md"), "# Other\n\n[back](README.md) [self](#part)\n\n```go\na[int](x)\n```\n"))
	all, err := readPages(root)
	require.NoError(t, err)
	other, err := all.content(all.at["docs/other.md"])
	require.NoError(t, err)
	require.Equal(t, "---\nheading: \"Other\"\naddress: other.html\n---\n# Other\n\n[back](index.html) [self](#part)\n\n```go\na[int](x)\n```\n", other)
	_, err = all.content(all.at["docs/README.md"])
	require.ErrorContains(t, err, "a link to docs/one")
}
