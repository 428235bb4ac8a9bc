package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// page is a page of the site: where it stands in the repository, and what file of hugo's content it becomes.
type page struct {
	source, file, url, heading, text string
}

// pages are those of the site, by their place in the repository too.
type pages struct {
	root string
	list []*page
	at   map[string]*page
}

// sources are what becomes pages: the manual, and what stands beside it.
var sources = []string{"docs/*.md", "docs/schema/README.md", "README.md", "CHANGELOG.md", "SECURITY.md", "AGENTS.md", "examples/*/README.md"}

func readPages(root string) (*pages, error) {
	all := &pages{root: root, at: map[string]*page{}}
	for _, pattern := range sources {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return nil, err
			}
			p := &page{source: filepath.ToSlash(rel), text: string(text)}
			p.heading, _, _ = strings.Cut(strings.TrimPrefix(p.text, "# "), "\n")
			p.file, p.url = place(p.source)
			all.list = append(all.list, p)
			all.at[p.source] = p
		}
	}
	return all, nil
}

// place gives a page's file in hugo's content, and its address from the root of the site: all pages stand in one directory.
func place(source string) (file, url string) {
	switch {
	case source == "docs/README.md":
		return "_index.md", "index.html"
	case source == "docs/schema/README.md":
		return "schema.md", "schema.html"
	case source == "README.md":
		return "about.md", "about.html"
	case strings.HasPrefix(source, "examples/"):
		name := "example-" + path.Base(path.Dir(source))
		return name + ".md", name + ".html"
	}
	name := strings.ToLower(strings.TrimSuffix(path.Base(source), ".md"))
	return name + ".md", name + ".html"
}

var (
	fence = regexp.MustCompile("(?ms)^```.*?^```$")
	link  = regexp.MustCompile(`\]\(([^)#: ]*)(#[^)]*)?\)`)
)

// content is a page as hugo takes it: with its heading in front, and its links to pages as links to what they become.
func (all *pages) content(p *page) (string, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "---\nheading: %s\naddress: %s\n---\n", strconv.Quote(p.heading), p.url)
	start := 0
	for _, block := range append(fence.FindAllStringIndex(p.text, -1), []int{len(p.text), len(p.text)}) {
		prose, err := all.relink(p, p.text[start:block[0]])
		if err != nil {
			return "", err
		}
		out.WriteString(prose)
		out.WriteString(p.text[block[0]:block[1]])
		start = block[1]
	}
	return out.String(), nil
}

func (all *pages) relink(p *page, prose string) (string, error) {
	var failed error
	prose = link.ReplaceAllStringFunc(prose, func(found string) string {
		parts := link.FindStringSubmatch(found)
		if parts[1] == "" {
			return found
		}
		url, err := all.target(path.Join(path.Dir(p.source), parts[1]))
		if err != nil {
			failed = fmt.Errorf("%s: %w", p.source, err)
		}
		return "](" + url + parts[2] + ")"
	})
	return prose, failed
}

// target gives the address of what a link names by its place in the repository.
func (all *pages) target(name string) (string, error) {
	if p := all.at[name]; p != nil {
		return p.url, nil
	}
	if p := all.at[path.Join(name, "README.md")]; p != nil {
		return p.url, nil
	}
	if rest, inDocs := strings.CutPrefix(name, "docs/"); inDocs && slices.Contains([]string{".svg", ".png", ".sql", ".json", ".yaml"}, path.Ext(name)) {
		return rest, nil
	}
	if name == "LICENSE" || name == "compose.yaml" {
		return name, nil
	}
	return "", fmt.Errorf("a link to %s, which is no page and no file of the site", name)
}

// group is a part of the menu: pages by their files.
type group struct {
	Title string   `json:"title"`
	Pages []string `json:"pages"`
}

// menu says where pages are found; what no part names is in the last one, so that none is lost.
func (all *pages) menu() []group {
	groups := []group{
		{Title: "Start", Pages: []string{"_index.md", "quickstart.md", "concepts.md", "about.md"}},
		{Title: "How to", Pages: all.files("howto-", "modelling", "subscriptions.", "importing.")},
		{Title: "Operate", Pages: all.files("installing.", "operations", "command.", "inspector.", "monitoring.")},
		{Title: "Prove", Pages: all.files("audit.", "seals.", "security.", "erasure.", "personal-data.", "guarantees.")},
		{Title: "Look up", Pages: all.files("reference-", "schema.", "faq.", "comparison.", "benchmarks.", "design.")},
	}
	listed := map[string]bool{}
	for _, g := range groups {
		for _, file := range g.Pages {
			listed[file] = true
		}
	}
	rest := group{Title: "More"}
	for _, p := range all.list {
		if !listed[p.file] {
			rest.Pages = append(rest.Pages, p.file)
		}
	}
	return append(groups, rest)
}

func (all *pages) files(prefixes ...string) (files []string) {
	for _, prefix := range prefixes {
		for _, p := range all.list {
			if strings.HasPrefix(p.file, prefix) {
				files = append(files, p.file)
			}
		}
	}
	return files
}
