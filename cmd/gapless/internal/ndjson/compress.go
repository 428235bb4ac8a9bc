package ndjson

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Suffixes of files that are compressed.
const (
	suffixGzip = ".gz"
	suffixZstd = ".zst"
)

// first bytes of compressed input, which no line of JSON begins with.
var (
	magicGzip = []byte{0x1f, 0x8b}
	magicZstd = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// Compress returns what compresses into w as a file's name asks for; Close ends the compressed stream and leaves w open.
func Compress(w io.Writer, name string) (io.WriteCloser, error) {
	switch {
	case strings.HasSuffix(name, suffixGzip):
		return gzip.NewWriter(w), nil
	case strings.HasSuffix(name, suffixZstd):
		return zstd.NewWriter(w)
	}
	return plain{w}, nil
}

// Decompress returns what r holds: decompressed if the name has a suffix that says so, or if it begins as compressed input does, as
// what comes through a pipe.
func Decompress(r io.Reader, name string) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, readBuffer)
	begin, err := in.Peek(len(magicZstd))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case strings.HasSuffix(name, suffixGzip) || bytes.HasPrefix(begin, magicGzip):
		zip, err := gzip.NewReader(in)
		if err != nil {
			return nil, &TruncatedError{Err: early(err)}
		}
		return zip, nil
	case strings.HasSuffix(name, suffixZstd) || bytes.HasPrefix(begin, magicZstd):
		if len(begin) == 0 {
			return nil, &TruncatedError{Err: io.ErrUnexpectedEOF}
		}
		dec, err := zstd.NewReader(in)
		if err != nil {
			return nil, &TruncatedError{Err: err}
		}
		return dec.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}

// early says of an input without a byte that it ended too early.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// plain does not compress.
type plain struct{ io.Writer }

// Close does nothing.
func (plain) Close() error { return nil }
