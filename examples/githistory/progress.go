package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress writes how far an import is: over and over on one line of a terminal, now and then on a new line elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
	every    time.Duration
	commits  int
	start    time.Time
	last     time.Time
	width    int
}

func newProgress(out io.Writer, commits int) *progress {
	p := &progress{out: out, every: 5 * time.Second, commits: commits, start: time.Now(), last: time.Now()}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if p.terminal {
		p.every = 200 * time.Millisecond
	}
	return p
}

// update is called for every commit and mostly does nothing.
func (p *progress) update(t totals) {
	if now := time.Now(); now.Sub(p.last) >= p.every {
		p.last = now
		p.line(t)
	}
}

func (p *progress) line(t totals) {
	seconds := time.Since(p.start).Seconds()
	events := t.appended + t.duplicates
	text := fmt.Sprintf("%d of %d commits, %d events, %.0f events/s", t.commits, p.commits, events, float64(events)/seconds)
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprintf(p.out, "\r%-*s", p.width, text)
	p.width = len(text)
}

// note writes a line of its own.
func (p *progress) note(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.out, "note: "+format+"\n", args...)
}

// done writes the last line.
func (p *progress) done(t totals) {
	p.line(t)
	if p.terminal {
		fmt.Fprintln(p.out)
		p.width = 0
	}
}

func (p *progress) clear() {
	if p.terminal && p.width > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}
