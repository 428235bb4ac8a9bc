package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	hash1   = "bb49e621c571710aa87365c7bf334288eb63c64b"
	hash256 = "bb49e621c571710aa87365c7bf334288eb63c64bbb49e621c571710aa87365c7"
)

// encode writes commits as git log does.
func encode(commits ...commit) string {
	var b strings.Builder
	for _, c := range commits {
		fmt.Fprintf(&b, "\x01%s\x00%d\x00%s\x00", c.hash, c.time.Unix(), c.subject)
		if len(c.files) > 0 {
			b.WriteByte('\n')
		}
		for _, f := range c.files {
			fmt.Fprintf(&b, ":100644 100644 %s %s %c\x00%s\x00", hash1, hash1, f.change, f.path)
		}
		for _, f := range c.files {
			fmt.Fprintf(&b, "%s\t%s\t%s\x00", lineCount(f.added), lineCount(f.removed), f.path)
		}
	}
	return b.String()
}

func lineCount(n int64) string {
	if n == binary {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// parseAll returns the commits before the first error, and the error.
func parseAll(log string) (commits []commit, err error) {
	for c, err := range parseLog(strings.NewReader(log)) {
		if err != nil {
			return commits, err
		}
		commits = append(commits, c)
	}
	return commits, nil
}

// oddPaths are paths that a parser may take for something else, or that cannot be stream ids.
var oddPaths = []string{
	"plain.go", "a b", " leading", "trailing ", "tab\tinside", "\ttab", "new\nline", "\n", `quo"te`, `back\slash`, "bad\xff\xfe",
	"\x01" + hash1, ":100644 100644 a b M", "1\t2\tx", "-\t-\t", "-", "0", "ümläut", "日本語/ファイル", "\u0085x", "\u200b",
	strings.Repeat("long/", 60) + "x", strings.Repeat("y", 122), strings.Repeat("y", 123), strings.Repeat("y", 124), "sha256:" + hash256, "-- x", "'; DROP TABLE x; --",
}

func TestParseOddPaths(t *testing.T) {
	t.Parallel()
	first := commit{hash: hash1, time: time.Unix(1_700_000_000, 0).UTC(), subject: "all of them"}
	for i, path := range oddPaths {
		first.files = append(first.files, fileChange{path: path, change: added, added: int64(i), removed: 0})
	}
	second := commit{hash: hash256, time: time.Unix(-1, 0).UTC(), subject: "\x01" + hash1 + "\n:x"}
	for _, path := range oddPaths {
		second.files = append(second.files, fileChange{path: path, change: deleted, added: binary, removed: binary})
	}
	want := []commit{first, {hash: hash1, time: time.Unix(0, 0).UTC()}, second}

	got, err := parseAll(encode(want...))
	require.NoError(t, err)
	require.Equal(t, want, got)

	got = nil
	for c, err := range parseLog(iotest.OneByteReader(strings.NewReader(encode(want...)))) {
		require.NoError(t, err)
		got = append(got, c)
	}
	require.Equal(t, want, got, "however the pipe cuts it")
}

func TestParseTypeChangeIsAChange(t *testing.T) {
	t.Parallel()
	log := "\x01" + hash1 + "\x0010\x00s\x00\n:100644 120000 " + hash1 + " " + hash1 + " T\x00p\x001\t1\tp\x00"
	got, err := parseAll(log)
	require.NoError(t, err)
	require.Equal(t, []fileChange{{path: "p", change: changed, added: 1, removed: 1}}, got[0].files)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	header := "\x01" + hash1 + "\x0010\x00s\x00"
	file := "\n:100644 100644 " + hash1 + " " + hash1 + " M\x00p\x00"
	for name, log := range map[string]string{
		"no commit":           "warning: something\x00",
		"empty part":          "\x00",
		"short hash":          "\x01bb49e6\x0010\x00s\x00",
		"ends in hash":        "\x01" + hash1,
		"ends before subject": "\x01" + hash1 + "\x0010\x00",
		"ends in subject":     strings.TrimSuffix(header, "\x00"),
		"ends before path":    strings.TrimSuffix(header+file, "p\x00"),
		"unknown status":      header + "\n:100644 100644 a b U\x00p\x00",
		"rename":              header + "\n:100644 100644 a b R100\x00p\x00q\x00",
		"count of no file":    header + "1\t1\tp\x00",
		"count of another":    header + file + "1\t1\tq\x00",
		"count twice":         header + file + "1\t1\tp\x001\t1\tp\x00",
		"no count":            header + file + "x\ty\tp\x00",
		"negative count":      header + file + "1\t-1\tp\x00",
		"count without path":  header + file + "1\t1\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseAll(log)
			require.ErrorIs(t, err, errLog)
		})
	}
	_, err := parseAll("")
	require.NoError(t, err)
}

func TestParseStopsWhenLeft(t *testing.T) {
	t.Parallel()
	for c, err := range parseLog(strings.NewReader(encode(commit{hash: hash1}, commit{hash: hash256}))) {
		require.NoError(t, err)
		require.Equal(t, hash1, c.hash)
		break
	}
}

func TestCommitTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "1970-01-01", "1700000000": "2023-11-14", "-62135596799": "0001-01-01", "-62135596800": "1970-01-01", "-62135596801": "1970-01-01",
		"253402300799": "9999-12-31", "253402300800": "1970-01-01", "": "1970-01-01", "x": "1970-01-01",
		"99999999999999999999": "1970-01-01", "9223372036854775807": "1970-01-01",
	} {
		require.Equal(t, want, commitTime([]byte(text)).Format(time.DateOnly), text)
	}
}

// FuzzParseLog: no input makes the parser panic, and what it takes is what was there: written again, it reads the same.
func FuzzParseLog(f *testing.F) {
	for _, path := range oddPaths {
		f.Add([]byte(encode(commit{hash: hash1, subject: path, files: []fileChange{{path: path, change: added, added: binary, removed: 3}}})))
	}
	f.Add([]byte("\x01" + hash1 + "\x00\x00\x00\x01" + hash256 + "\x001\x00x\x00"))
	f.Fuzz(func(t *testing.T, log []byte) {
		got, err := parseAll(string(log))
		for i := range got {
			// A log may end before its counts; written again they are there.
			for n := range got[i].files {
				require.GreaterOrEqual(t, got[i].files[n].added, int64(binary))
			}
			_, err := appendRequests(got[i])
			require.NoError(t, err, "whatever a commit says can be stored")
		}
		if err != nil {
			require.ErrorIs(t, err, errLog)
		}
		again, err := parseAll(encode(got...))
		require.NoError(t, err)
		require.True(t, slices.EqualFunc(got, again, sameCommit), "%v\n%v", got, again)
	})
}

func sameCommit(a, b commit) bool {
	return a.hash == b.hash && a.time.Equal(b.time) && a.subject == b.subject && slices.Equal(a.files, b.files)
}
