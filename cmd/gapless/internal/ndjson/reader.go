package ndjson

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	readBuffer = 256 << 10
	// MaxLine bounds a line in bytes: more than the largest event takes, and less than a file without line feeds.
	MaxLine = 512 << 20
)

// LineError says which line of the input is no event.
type LineError struct {
	// Line counts from 1.
	Line int64
	// Err is what is wrong with it.
	Err error
}

// Error names the line and what is wrong.
func (e *LineError) Error() string {
	return fmt.Sprintf("line %d is no event: %v: correct it and import the file again, which goes on from there", e.Line, e.Err)
}

// Unwrap gives what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// TruncatedError says that compressed input ends in the middle.
type TruncatedError struct {
	// Lines is how many whole lines came before.
	Lines int64
	// Err is what the decompressor said.
	Err error
}

// Error says how far the input goes.
func (e *TruncatedError) Error() string {
	return fmt.Sprintf("the input breaks off or is damaged after line %d (%v): get it again whole and import it, which goes on from there", e.Lines, e.Err)
}

// Unwrap gives what the decompressor said.
func (e *TruncatedError) Unwrap() error { return e.Err }

// Read goes through the events of lines, for a store of so many partitions. An error comes once, as the last pair: a *LineError, or a
// *TruncatedError for input that cannot be read on.
func Read(r io.Reader, partitions int) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		n := int64(0)
		for text, err := range Lines(r) {
			if err != nil {
				yield(eventstream.Event{}, err)
				return
			}
			n++
			event, bad := parse(text, partitions)
			if bad != nil {
				yield(eventstream.Event{}, &LineError{Line: n, Err: bad})
				return
			}
			if !yield(event, nil) {
				return
			}
		}
	}
}

// Lines goes through the lines, each in memory of its own. An error comes once, as the last pair: a *LineError for a line that is too long, or a
// *TruncatedError for input that cannot be read on.
func Lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewReaderSize(r, readBuffer)
		for n := int64(1); ; n++ {
			text, err := readLine(in)
			switch {
			case errors.Is(err, io.EOF) && len(text) == 0:
				return
			case errors.Is(err, errLong):
				yield(nil, &LineError{Line: n, Err: err})
				return
			case err != nil && !errors.Is(err, io.EOF):
				yield(nil, &TruncatedError{Lines: n - 1, Err: err})
				return
			}
			if !yield(text, nil) || errors.Is(err, io.EOF) {
				return
			}
		}
	}
}

var errLong = fmt.Errorf("longer than %d bytes", MaxLine)

// readLine gives the next line, in memory of its own.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > MaxLine:
			return nil, errLong
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		}
		return bytes.TrimRight(line, "\r\n"), eofAfter(line, err)
	}
}

// eofAfter keeps the end of the input from hiding an empty line before it.
func eofAfter(line []byte, err error) error {
	if err == nil || len(line) > 0 && line[len(line)-1] == '\n' {
		return nil
	}
	return err
}
