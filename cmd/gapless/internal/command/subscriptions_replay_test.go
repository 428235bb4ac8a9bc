//go:build unix

package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// A program that handles an event ends with the context, and what it has started ends with it; what it leaves behind after exit code 0
// is no failure, though it keeps the program's outputs open.
func TestReplayPrograms(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		script string
		ends   bool
		fails  string
		// tells is set where what the program has started writes a file when it is told to end.
		tells bool
	}{
		"handled":                     {script: `grep -q '"stream_id":"order-1"'`},
		"refused":                     {script: "echo no such address >&2; exit 3", fails: "/bin/sh: exit status 3: no such address"},
		"handled, and leaves another": {script: `sleep 60 & echo $! >"$0"`},
		"ended":                       {script: `echo $$ >"$0"; exec sleep 60`, ends: true, fails: "signal: terminated"},
		"ended with what it started": {
			script: `(trap 'echo >"$0.told"; exit' TERM; echo $$ >"$0"; sleep 60 & wait) & wait`, ends: true, fails: "signal: terminated", tells: true,
		},
		"ended though it will not end": {script: `trap "" TERM; echo $$ >"$0"; while :; do sleep 1; done`, ends: true, fails: "signal: killed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pidFile := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				var out bytes.Buffer
				ended <- runHandler(ctx, &out, eventstream.LogEvent{Event: eventstream.Event{StreamID: "order-1"}}, "/bin/sh", []string{"-c", c.script, pidFile})
			}()
			if c.ends {
				require.Eventually(t, func() bool { text, _ := os.ReadFile(pidFile); return len(text) > 0 }, 50*time.Second, time.Millisecond)
				cancel()
			}
			err := <-ended
			if c.fails == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.fails)
			if c.tells {
				require.Eventually(t, func() bool { _, err := os.Stat(pidFile + ".told"); return err == nil }, 50*time.Second, time.Millisecond)
			}
		})
	}
}
