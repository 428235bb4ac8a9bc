package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program serves metrics until it is interrupted.
func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	name, server := newName(), os.Getenv(envServer)
	require.NoError(t, execute(server, "CREATE DATABASE "+name+" STRATEGY FILE_COPY TEMPLATE "+os.Getenv(envServer+"_TEMPLATE")))
	t.Cleanup(func() { require.NoError(t, execute(server, "DROP DATABASE "+name+" WITH (FORCE)")) })
	cmd := exec.CommandContext(t.Context(), "gapless", "metrics", "--listen", "127.0.0.1:0", "--dsn", onDatabase(server, name))
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url := strings.TrimSpace(strings.TrimPrefix(line, "metrics are at "))
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/metrics$`, url)

	status, kind, body := get(t, url)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", kind)
	require.Contains(t, body, "\ngapless_log_position 0\n")
	status, _, body = get(t, strings.TrimSuffix(url, "metrics"))
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "/metrics")
	status, _, _ = get(t, url+"/nothing")
	require.Equal(t, http.StatusNotFound, status)
	response, err := http.Post(url, "text/plain", nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)

	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, cmd.Wait())
}

func get(t *testing.T, url string) (status int, kind, body string) {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header.Get("Content-Type"), string(text)
}
