package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// manyEvents is how many events the tests of large stores have; in their long form, ten times as many.
	manyEvents = 100_000
	// maxMemory bounds what a command may need for any number of events, in KiB.
	maxMemory = 200 << 10
	// perInsert is how many events are written by one statement.
	perInsert = 50_000
)

func many() int {
	if os.Getenv("GAPLESS_TEST_LONG") != "" {
		return 10 * manyEvents
	}
	return manyEvents
}

// copyOfTemplate makes a migrated database.
func copyOfTemplate(t *testing.T) (dsn string) {
	t.Helper()
	name, server := newName(), os.Getenv(envServer)
	require.NoError(t, execute(server, "CREATE DATABASE "+name+" STRATEGY FILE_COPY TEMPLATE "+os.Getenv(envServer+"_TEMPLATE")))
	t.Cleanup(func() { require.NoError(t, execute(server, "DROP DATABASE "+name+" WITH (FORCE)")) })
	return onDatabase(server, name)
}

// runWithin runs the program, and sees that it needs no more memory than any command may.
func runWithin(t *testing.T, dsn string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "gapless", args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+dsn)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	peak := peakMemory(cmd.Process.Pid, ended)
	err := cmd.Wait()
	close(ended)
	require.NoError(t, err, "%s: %s", strings.Join(args, " "), out.String())
	if runtime.GOOS == "linux" {
		most := <-peak
		t.Logf("%s: %d MiB, %s", strings.Join(args, " "), most>>10, cmd.ProcessState.UserTime())
		require.Positive(t, most)
		require.Less(t, most, maxMemory, strings.Join(args, " "))
	}
	return out.String()
}

// peakMemory gives the most memory that a process had, in KiB, as seen again and again until it ends. What the system says at its end
// counts that of this process too, from which it was made.
func peakMemory(pid int, ended <-chan struct{}) <-chan int {
	peak := make(chan int, 1)
	go func() {
		most := 0
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			if name, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); filepath.Base(name) == "gapless" {
				status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // gone at its end
				if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
					var now int
					_, _ = fmt.Sscanf(after, "%d", &now)
					most = max(most, now)
				}
			}
			select {
			case <-ended:
				peak <- most
				return
			case <-tick.C:
			}
		}
	}()
	return peak
}

// manyStreams writes so many events of every kind: streams of twenty, of two tenants, with and without bytes and metadata.
const manyStreams = `
	INSERT INTO eventstream.events (stream_id, version, event_id, occurred_at, partition_id, tenant_id, type, payload, data, metadata)
	SELECT s.id, n %% 20 + 1, gen_random_uuid(), '2020-01-01'::timestamptz + n * interval '1.000001 seconds', eventstream.partition_of(s.id, 32),
		'tenant-' || (n / 20) %% 2, 'kind.' || n %% 7, jsonb_build_object('n', n, 'text', repeat(chr((200 + n %% 3000)::int), 20)),
		CASE WHEN n %% 10 = 0 THEN int8send(n) END, CASE WHEN n %% 3 = 0 THEN jsonb_build_object('trace', n::text) ELSE '{}' END
	FROM generate_series(%d::bigint, %d) AS n
	CROSS JOIN LATERAL (SELECT 'many-' || n / 20 AS id) AS s
	ORDER BY n`

// An export of many events, imported into an empty store, gives the same export, byte for byte, in bounded memory.
func TestExportImportExportOfManyEvents(t *testing.T) {
	t.Parallel()
	first, second, dir := copyOfTemplate(t), copyOfTemplate(t), t.TempDir()
	for n := 0; n < many(); n += perInsert {
		require.NoError(t, execute(first, fmt.Sprintf(manyStreams, n, n+perInsert-1)))
	}
	out, back := filepath.Join(dir, "out.ndjson"), filepath.Join(dir, "back.ndjson")
	runWithin(t, first, "export", out)
	require.Contains(t, runWithin(t, second, "import", out), fmt.Sprintf("imported\t%d\n", many()))
	runWithin(t, second, "export", back)
	require.Equal(t, digestOfFile(t, out), digestOfFile(t, back))
	require.Equal(t, "clean\n", runWithin(t, second, "audit"))
}

func digestOfFile(t *testing.T, name string) string {
	t.Helper()
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	require.NoError(t, err)
	require.Greater(t, size, int64(100*many()))
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// A history of many events in another store is looked at and imported in bounded memory; it is imported again without a change.
func TestImportOfManyEventsOfAnotherStore(t *testing.T) {
	t.Parallel()
	dsn := copyOfTemplate(t)
	require.NoError(t, execute(dsn, fmt.Sprintf(`
		CREATE SCHEMA message_store;
		CREATE TABLE message_store.messages (global_position bigserial PRIMARY KEY, position bigint NOT NULL, time timestamp NOT NULL DEFAULT now(),
			stream_name text NOT NULL, type text NOT NULL, data jsonb, metadata jsonb, id uuid NOT NULL DEFAULT gen_random_uuid());
		INSERT INTO message_store.messages (position, stream_name, type, data)
		SELECT n / %[1]d, 'account-' || n %% %[1]d, 'Deposited', jsonb_build_object('n', n, 'text', repeat('x', 100))
		FROM generate_series(0, %[2]d) AS n`, many()/5, many()-1)))
	looked := runWithin(t, dsn, "import", "--from", "message-db", "--dry-run")
	require.Contains(t, looked, fmt.Sprintf("events\t%d\n", many()))
	require.Contains(t, looked, fmt.Sprintf("streams\t%d\n", many()/5))
	require.Contains(t, runWithin(t, dsn, "import", "--from", "message-db", "--yes"), fmt.Sprintf("imported\t%d\n", many()))
	require.Contains(t, runWithin(t, dsn, "import", "--from", "message-db", "--yes"), fmt.Sprintf("imported\t0\nskipped\t%d\n", many()))
	require.Equal(t, "clean\n", runWithin(t, dsn, "audit"))
}
