package main

import (
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// entry is what the search knows of a part of a page.
type entry struct {
	URL   string `json:"url"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

var (
	heading = regexp.MustCompile(`(?s)<h([1-3]) id="([^"]*)">(.*?)</h[1-3]>`)
	tag     = regexp.MustCompile(`(?s)<[^>]*>`)
)

// writeIndex makes the index of the search from the pages as they were built: an entry for each heading. It is a script, since a page that was
// opened from a disk may load one, and may not fetch a file.
func writeIndex(out string) error {
	files, err := filepath.Glob(filepath.Join(out, "*.html"))
	if err != nil {
		return err
	}
	var index []entry
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		_, body, _ := strings.Cut(string(text), `<main id="main">`)
		body, _, _ = strings.Cut(body, "</main>")
		index = append(index, entries(filepath.Base(file), body)...)
	}
	encoded, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return write(filepath.Join(out, "index.js"), "window.searchIndex = "+string(encoded)+";\n")
}

// entries cuts a page at its headings. Those below the first have the page's in front.
func entries(url, body string) (found []entry) {
	at := heading.FindAllStringSubmatchIndex(body, -1)
	page := ""
	for i, h := range at {
		end := len(body)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		part := entry{URL: url + "#" + body[h[4]:h[5]], Title: words(body[h[6]:h[7]]), Text: words(body[h[1]:end])}
		if body[h[2]:h[3]] == "1" {
			page = part.Title
		} else {
			part.Title = page + ": " + part.Title
		}
		found = append(found, part)
	}
	return found
}

// words is what HTML says, without its tags.
func words(text string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(text, " "))), " ")
}
