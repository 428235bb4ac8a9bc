package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/leftout"
)

// TestTerminal runs the program as somebody at a terminal does. Each file of testdata/terminal is a session on a migrated store of its own, and what is seen:
//
//	$ LINE         runs a line of a shell in a terminal of 120 columns and 40 lines; what follows is the screen as it is at the end, with
//	               styles as numbers in ‹›, and the exit code if it is not 0
//	> TEXT         answers a question of that line
//	^C sees TEXT   interrupts it once the screen has that text
//	^C once SQL    interrupts it once a statement gives true
//	sql: SQL       runs statements before the next line
//	hold: SQL      runs statements in a session that stays until the next line has ended; with => SQL behind it, until that gives true
//	~ RE => TEXT   is put for what differs from run to run, from there on
//
// UPDATE_GOLDEN=1 writes what is seen into the files: look at the difference.
func TestTerminal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("script"); err != nil {
		leftout.Skip(t, errors.New("script is not installed, which opens terminals: apt-get install util-linux"))
	}
	for _, name := range terminalFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			s := newSession(t)
			got := s.play(string(text))
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
				return
			}
			require.Equal(t, squeeze(string(text)), squeeze(got))
		})
	}
}

func terminalFiles(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/terminal/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

// session is somebody at a terminal, with a store.
type session struct {
	t       *testing.T
	dir     string
	env     []string
	dsn     string
	replace []replacement
	// releases end the sessions that are held.
	releases []func()
}

type replacement struct {
	what *regexp.Regexp
	with string
}

// typed is what is typed while a line runs.
type typed struct{ kind, text string }

func newSession(t *testing.T) *session {
	t.Helper()
	s := &session{t: t, dir: t.TempDir(), dsn: copyOfTemplate(t)}
	server, empty := os.Getenv(envServer), newName()
	require.NoError(t, execute(server, "CREATE DATABASE "+empty))
	t.Cleanup(func() { require.NoError(t, execute(server, "DROP DATABASE "+empty+" WITH (FORCE)")) })
	s.env = append(os.Environ(), "DATABASE_URL="+s.dsn, "EMPTY_URL="+onDatabase(server, empty), "TERM=xterm", "SHELL=/bin/sh", "NO_COLOR=")
	// Of a bar, its rate and the time left differ.
	for _, r := range [][2]string{{`127\.0\.0\.1:\d+`, "ADDRESS"}, {`gapless_bench_[0-9a-f]{32}`, "DATABASE"}, {`(?m)( \[[=>-]{20,}\]).*$`, "$1"}} {
		s.replace = append(s.replace, replacement{regexp.MustCompile(r[0]), r[1]})
	}
	return s
}

// play runs a session, and gives it as it was.
func (s *session) play(text string) string {
	s.t.Helper()
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "#":
			if i > 0 && !strings.HasPrefix(lines[i-1], "#") {
				out.WriteString("\n")
			}
		case "~":
			what, with, _ := strings.Cut(rest+" ", " => ")
			s.replace = append(s.replace, replacement{regexp.MustCompile(what), strings.ReplaceAll(strings.TrimSuffix(with, " "), `\n`, "\n")})
		case "sql:":
			require.NoError(s.t, execute(s.dsn, rest), rest)
		case "hold:":
			s.hold(rest)
		case "$":
			var keys []typed
			out.WriteString(line + "\n")
			for i+1 < len(lines) && (strings.HasPrefix(lines[i+1]+" ", "> ") || strings.HasPrefix(lines[i+1], "^C ")) {
				i++
				out.WriteString(lines[i] + "\n")
				kind, rest, _ := strings.Cut(lines[i], " ")
				if kind == "^C" {
					kind, rest, _ = strings.Cut(rest, " ")
				}
				keys = append(keys, typed{kind, rest})
			}
			out.WriteString(s.normal(s.run(rest, keys)))
			s.release()
			continue
		default:
			continue // what was seen last time
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// hold runs statements in a session that stays.
func (s *session) hold(sql string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.dsn)
	require.NoError(s.t, err)
	sql, until, ends := strings.Cut(sql, " => ")
	_, err = conn.Exec(s.t.Context(), sql)
	require.NoError(s.t, err, sql)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if ends {
			_ = await(ctx, s.dsn, until)
		} else {
			<-ctx.Done()
		}
		_ = conn.Close(context.Background()) // which ends its transaction
	}()
	s.releases = append(s.releases, func() { cancel(); <-ended })
}

func (s *session) release() {
	for _, release := range s.releases {
		release()
	}
	s.releases = nil
}

func (s *session) normal(text string) string {
	for _, r := range s.replace {
		text = r.what.ReplaceAllString(text, r.with)
	}
	return normal(text)
}

// run runs a line in a terminal, types, and gives the screen as it is at the end.
func (s *session) run(line string, keys []typed) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	// The shell outlives an interrupt, to say how the program ended. Without noflsh, the interrupt throws away what was written and is not
	// read yet.
	shell := "trap : INT; stty cols 120 rows 40 noflsh; " + line + "\ncode=$?; [ $code = 0 ] || echo \"[exit $code]\""
	cmd := exec.CommandContext(ctx, "script", "-qec", shell, "/dev/null")
	cmd.Dir, cmd.Env = s.dir, s.env
	keyboard, err := cmd.StdinPipe()
	require.NoError(s.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	chunks := make(chan string)
	go func() {
		defer close(chunks)
		for buffer := make([]byte, 64<<10); ; {
			n, err := out.Read(buffer)
			chunks <- string(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	var shown screen
	for chunk := range s.untilPressed(ctx, chunks, keyboard, &keys) {
		shown.write(chunk)
		for len(keys) > 0 && keys[0].isDue(shown.text()) {
			require.NoError(s.t, keys[0].press(keyboard))
			keys = keys[1:]
		}
	}
	require.NoError(s.t, cmd.Wait(), "%s\n%s", line, shown.text())
	require.NoError(s.t, ctx.Err(), "%s\n%s", line, shown.text())
	require.Empty(s.t, keys, "%s: what was to be typed had no occasion\n%s", line, shown.text())
	// The terminal's own ^C is there or not, as a bar is drawn over it.
	text := strings.TrimRight(strings.ReplaceAll(shown.text(), "^C", ""), "\n")
	if text == "" {
		return ""
	}
	return text + "\n"
}

// untilPressed gives what comes out, and meanwhile presses what waits for the database.
func (s *session) untilPressed(ctx context.Context, chunks <-chan string, keyboard io.Writer, keys *[]typed) iter.Seq[string] {
	return func(yield func(string) bool) {
		var due chan error
		for {
			if due == nil && len(*keys) > 0 && (*keys)[0].kind == "once" {
				due = make(chan error, 1)
				go func(sql string) { due <- await(ctx, s.dsn, sql) }((*keys)[0].text)
			}
			select {
			case chunk, more := <-chunks:
				if !more || !yield(chunk) {
					return
				}
			case err := <-due:
				require.NoError(s.t, err)
				require.NoError(s.t, (*keys)[0].press(keyboard))
				*keys, due = (*keys)[1:], nil
			}
		}
	}
}

// isDue says whether the screen is what somebody waits for who types this.
func (k typed) isDue(screen string) bool {
	return k.kind == ">" && strings.HasSuffix(screen, "[y/N]") || k.kind == "sees" && strings.Contains(screen, k.text)
}

func (k typed) press(keyboard io.Writer) error {
	text := "\x03"
	if k.kind == ">" {
		text = k.text + "\n"
	}
	_, err := io.WriteString(keyboard, text)
	return err
}
