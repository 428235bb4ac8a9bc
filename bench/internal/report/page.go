package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	pageName  = "benchmarks.md"
	chartName = "benchmarks.svg"
)

// Page is the documentation that gets the results; nil is none.
type Page struct {
	directory                 string
	before, begin, end, after string
}

// marks gives the lines between which the tool writes; it leaves the rest of the page alone. Each command has marks of its own.
func marks(command string) (begin, end string) {
	written := "<!-- written by go run ./bench " + command + "-docs: "
	return written + "begin -->", written + "end -->"
}

// OpenPage reads the page of a directory, for a command: "" for the one that needs no name, else its name. No directory is no page.
func OpenPage(directory, command string) (*Page, error) {
	if directory == "" {
		return nil, nil
	}
	path := filepath.Join(directory, pageName)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if command != "" {
		command += " "
	}
	p := &Page{directory: directory}
	p.begin, p.end = marks(command)
	var rest string
	var begun, ended bool
	p.before, rest, begun = strings.Cut(string(content), p.begin)
	_, p.after, ended = strings.Cut(rest, p.end)
	if !begun || !ended {
		return nil, fmt.Errorf("%s: the page needs these two lines, in this order: %s and %s", path, p.begin, p.end)
	}
	return p, nil
}

// Write puts the results in their place, and the chart beside the page.
func (p *Page) Write(r Report, m Machine) error {
	if p == nil {
		return nil
	}
	text := p.before + p.begin + "\n\n" + r.markdown(m) + "\n" + p.end + p.after
	err := os.WriteFile(filepath.Join(p.directory, pageName), []byte(text), 0o644)
	if r.Chart != "" {
		err = errors.Join(err, os.WriteFile(filepath.Join(p.directory, chartName), []byte(r.Chart), 0o644))
	}
	return err
}
