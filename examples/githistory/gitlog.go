package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
)

// change is what a commit does to a file.
type change byte

const (
	added   change = 'A'
	changed change = 'M'
	deleted change = 'D'
)

// binary stands for the number of lines of a file that has none.
const binary = -1

// commit is what the log says of one commit.
type commit struct {
	hash    string
	time    time.Time
	subject string
	files   []fileChange
}

// fileChange is what a commit does to one file.
type fileChange struct {
	// path is as git has it: any bytes but NUL.
	path   string
	change change
	// added and removed count lines, or are binary.
	added, removed int64
}

// errLog says that the input is not what git log writes for logArgs.
var errLog = errors.New("the log is not of the expected form")

// logParser reads the output of git log with logArgs, in which every part ends with NUL:
//
//	\x01 HASH, TIME, SUBJECT                          a commit
//	:MODE MODE HASH HASH STATUS, PATH                 what was done to a file; a newline comes before the first
//	ADDED \t REMOVED \t PATH                          how many lines, for all those files, in the same order
//
// A path is only ever read where a path must follow, so nothing in it can be taken for something else.
type logParser struct {
	in *bufio.Reader
}

// parseLog gives the commits of a log, one by one. An error comes once, as the last pair.
func parseLog(r io.Reader) iter.Seq2[commit, error] {
	p := &logParser{in: bufio.NewReaderSize(r, 1<<16)}
	return func(yield func(commit, error) bool) {
		for {
			if _, err := p.in.Peek(1); errors.Is(err, io.EOF) {
				return
			}
			c, err := p.commit()
			if err != nil {
				yield(commit{}, err)
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (p *logParser) commit() (commit, error) {
	c, err := p.header()
	if err != nil {
		return commit{}, err
	}
	if err := p.changes(&c); err != nil {
		return commit{}, fmt.Errorf("commit %s: %w", c.hash, err)
	}
	if err := p.counts(&c); err != nil {
		return commit{}, fmt.Errorf("commit %s: %w", c.hash, err)
	}
	return c, nil
}

func (p *logParser) header() (commit, error) {
	mark, err := p.part()
	if err != nil {
		return commit{}, err
	}
	hash, marked := bytes.CutPrefix(mark, []byte{1})
	if !marked || !isHash(hash) {
		return commit{}, fmt.Errorf("%w: %q where a commit should start", errLog, shorten(mark))
	}
	seconds, err := p.part()
	if err != nil {
		return commit{}, err
	}
	c := commit{hash: string(hash), time: commitTime(seconds)}
	subject, err := p.part()
	c.subject = string(subject)
	return c, err
}

// changes reads what was done to which files.
func (p *logParser) changes(c *commit) error {
	if next, _ := p.in.Peek(1); string(next) == "\n" {
		_, _ = p.in.Discard(1)
	}
	for {
		if next, _ := p.in.Peek(1); string(next) != ":" {
			return nil
		}
		line, err := p.part()
		if err != nil {
			return err
		}
		kind, err := parseStatus(line)
		if err != nil {
			return err
		}
		path, err := p.part()
		if err != nil {
			return err
		}
		c.files = append(c.files, fileChange{path: string(path), change: kind, added: binary, removed: binary})
	}
}

// counts reads how many lines. git counts the files in the order in which it named them.
func (p *logParser) counts(c *commit) error {
	for i := 0; ; i++ {
		if next, _ := p.in.Peek(1); len(next) == 0 || next[0] == 1 {
			return nil
		}
		line, err := p.part()
		if err != nil {
			return err
		}
		fields := bytes.SplitN(line, []byte{'\t'}, 3)
		if len(fields) != 3 || i >= len(c.files) || c.files[i].path != string(fields[2]) {
			return fmt.Errorf("%w: %q where the lines of a file should be", errLog, shorten(line))
		}
		if c.files[i].added, err = parseLines(fields[0]); err != nil {
			return err
		}
		if c.files[i].removed, err = parseLines(fields[1]); err != nil {
			return err
		}
	}
}

// part reads up to the next NUL.
func (p *logParser) part() ([]byte, error) {
	text, err := p.in.ReadBytes(0)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it ends in the middle of a commit: %w", errLog, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	return text[:len(text)-1], nil
}

// parseStatus takes the letter that a line of --raw ends with. A file that becomes a link or a submodule (T) is a change.
func parseStatus(line []byte) (change, error) {
	switch status := line[bytes.LastIndexByte(line, ' ')+1:]; string(status) {
	case "A":
		return added, nil
	case "D":
		return deleted, nil
	case "M", "T":
		return changed, nil
	}
	return 0, fmt.Errorf("%w: no status is known in %q", errLog, shorten(line))
}

func parseLines(text []byte) (int64, error) {
	if string(text) == "-" {
		return binary, nil
	}
	lines, err := strconv.ParseUint(string(text), 10, 62)
	if err != nil {
		return 0, fmt.Errorf("%w: %q where a number of lines should be", errLog, shorten(text))
	}
	return int64(lines), nil
}

// commitTime reads seconds since 1970. Old repositories hold commits with broken times; git shows those as 1970, and so do we,
// and likewise for Go's zero time, which no event may have.
func commitTime(text []byte) time.Time {
	seconds, err := strconv.ParseInt(string(text), 10, 64)
	t := time.Unix(seconds, 0).UTC()
	if err != nil || t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return time.Unix(0, 0).UTC()
	}
	return t
}

func isHash(text []byte) bool {
	for _, b := range text {
		if (b < '0' || b > '9') && (b < 'a' || b > 'f') {
			return false
		}
	}
	return len(text) == 40 || len(text) == 64
}

// shorten bounds what an error repeats.
func shorten(text []byte) []byte { return text[:min(len(text), 60)] }
