package pgserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/leftout"
)

// envChild makes the test program act as a program that starts a server by the way it names, and is then killed.
const envChild = "GAPLESS_PGSERVER_CHILD"

// start starts a server by one way; a machine that lacks what the way needs skips the test.
func start(t *testing.T, way string, opts Options) *Server {
	t.Helper()
	server, err := startFirst(t.Context(), forced(t, way), request{opts: opts})
	if errors.Is(err, ErrNoEngine) || errors.Is(err, ErrNoBinaries) || errors.Is(err, ErrCannotBuild) {
		leftout.Skip(t, fmt.Errorf("this machine lacks what this way needs: %w", err))
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	t.Log(server.Origin)
	return server
}

func forced(t *testing.T, way string) []source {
	t.Helper()
	chosen, err := environment{source: way}.sources()
	require.NoError(t, err)
	return chosen
}

// query asks one value of a database.
func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func TestWays(t *testing.T) {
	t.Parallel()
	for way, origin := range map[string]string{
		sourceContainer: `^container \S+ \(.*PostgreSQL \d+.*\)$`,
		sourceBinaries:  `^cluster from /.+ \(PostgreSQL \d+.*\)$`,
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			server := start(t, way, Options{Settings: map[string]string{"work_mem": "5MB"}})
			require.Regexp(t, origin, server.Origin)
			dsn := server.DSN("")
			for name, want := range map[string]string{
				"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "300",
				"max_prepared_transactions": "100",
				"work_mem":                  "5MB", "server_encoding": "UTF8", "is_superuser": "on",
			} {
				require.Equal(t, want, query(t, dsn, "SHOW "+name), name)
			}
			require.Contains(t, []string{"C.UTF-8", "C", "en_US.utf8"},
				query(t, dsn, "SELECT datcollate FROM pg_catalog.pg_database WHERE datname = current_database()"))

			wrong := *server.base
			wrong.User = url.UserPassword("postgres", "wrong")
			_, err := inspect(t.Context(), wrong.String())
			require.ErrorContains(t, err, "28P01", "the server must ask for its password")

			require.NoError(t, server.Stop())
			_, err = inspect(t.Context(), dsn)
			require.Error(t, err, "the server must be gone after Stop")
		})
	}
}

func TestDurableKeepsFsync(t *testing.T) {
	t.Parallel()
	server := start(t, sourceBinaries, Options{Durable: true})
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		require.Equal(t, "on", query(t, server.DSN(""), "SHOW "+name), name)
	}
}

func TestStartReportsTheServersLog(t *testing.T) {
	t.Parallel()
	_, err := startBinaries(t.Context(), request{opts: Options{Settings: map[string]string{"no_such_setting": "1"}}})
	if errors.Is(err, ErrNoBinaries) {
		leftout.Skip(t, err)
	}
	require.ErrorIs(t, err, ErrServerEnded)
	require.ErrorContains(t, err, "no_such_setting")
}

func TestDSNWay(t *testing.T) {
	t.Parallel()
	owner := start(t, sourceBinaries, Options{})
	env := environment{dsn: owner.DSN("")}
	server, err := startDSN(t.Context(), request{env: env, opts: Options{NeedSuperuser: true}})
	require.NoError(t, err)
	require.Contains(t, server.Origin, envDSN)
	require.NoError(t, server.Stop())
	require.Equal(t, "1", query(t, owner.DSN(""), "SELECT '1'"), "Stop must leave the user's server alone")

	conn, err := pgx.Connect(t.Context(), owner.DSN(""))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), "CREATE ROLE plain LOGIN PASSWORD 'plain'")
	require.NoError(t, err)
	limited := *owner.base
	limited.User = url.UserPassword("plain", "plain")
	_, err = startDSN(t.Context(), request{env: environment{dsn: limited.String()}, opts: Options{NeedSuperuser: true}})
	require.ErrorIs(t, err, ErrNotSuperuser)
	_, err = startDSN(t.Context(), request{env: environment{dsn: limited.String()}})
	require.NoError(t, err)

	_, err = startDSN(t.Context(), request{})
	require.ErrorIs(t, err, ErrNoDSN)
}

// TestKilledProcessLeavesNothing kills a process in the middle of its use of a server, in the way that allows no clean
// up, and waits for the server to be gone.
func TestKilledProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, way := range []string{sourceContainer, sourceBinaries} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			start(t, way, Options{}) // skips where this way is not possible; the image is there afterwards
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(), envChild+"="+way)
			out, err := child.StdoutPipe()
			require.NoError(t, err)
			child.Stderr = os.Stderr
			require.NoError(t, child.Start())
			lines := bufio.NewScanner(out)
			require.True(t, lines.Scan(), "the child ended without a server")
			dsn := lines.Text()
			require.Equal(t, "1", query(t, dsn, "SELECT '1'"))

			require.NoError(t, child.Process.Kill())
			_ = child.Wait()
			require.Eventually(t, func() bool {
				_, err := inspect(t.Context(), dsn)
				return err != nil
			}, 20*time.Second, 100*time.Millisecond, "the server must end with its owner")
			require.Eventually(t, func() bool { return len(leftovers(t, way, child.Process.Pid)) == 0 },
				20*time.Second, 100*time.Millisecond, "nothing must be left behind")
		})
	}
}

// runChild starts a server, prints its DSN and waits to be killed.
func runChild() {
	os.Setenv(envSource, os.Getenv(envChild))
	server, err := Start(context.Background(), Options{Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(server.DSN(""))
	select {}
}

// leftovers lists the directories or containers that a process left behind.
func leftovers(t *testing.T, way string, pid int) []string {
	t.Helper()
	owner := strconv.Itoa(pid)
	if way == sourceBinaries {
		dirs, err := filepath.Glob(filepath.Join(os.TempDir(), clusterPrefix+owner+"-*"))
		require.NoError(t, err)
		return dirs
	}
	eng, err := findEngine(t.Context())
	require.NoError(t, err)
	defer eng.client.Close()
	list, err := eng.client.ContainerList(t.Context(), client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", labelOwner+"="+owner),
	})
	require.NoError(t, err)
	var ids []string
	for _, c := range list.Items {
		ids = append(ids, c.ID)
	}
	return ids
}
