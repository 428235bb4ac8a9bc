package integration_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/leftout"
)

// Behind PgBouncer in transaction mode each transaction may get another connection of the server. The modes are those that
// leave no prepared statement behind.
func TestRepositoryBehindPgBouncer(t *testing.T) {
	t.Parallel()
	bin, err := findPgBouncer()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		leftout.Skip(t, err)
	}
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			config, err := pgxpool.ParseConfig(startPgBouncer(t, b, bin, 2))
			require.NoError(t, err)
			config.ConnConfig.DefaultQueryExecMode = mode
			config.MaxConns = 6
			pool, err := pgxpool.NewWithConfig(b.ctx, config)
			require.NoError(t, err)
			t.Cleanup(func() { closePool(t, pool) })
			repo := repoOn(t, pool)
			everyMethod(t, b.ctx, repo)
			everyKindOfValue(t, &bundle{ctx: b.ctx, dsn: b.dsn, pool: pool, repo: repo})

			// Six callers over two connections of the server, in transactions of several statements.
			group, ctx := errgroup.WithContext(b.ctx)
			for caller := range 6 {
				group.Go(func() error {
					for range 20 {
						err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
							own := eventstream.StreamID(fmt.Sprintf("own-%d", caller))
							first, err := repo.WithTx(tx).Append(ctx, own, eventstream.Any, anEvent(t, 1))
							if err != nil {
								return err
							}
							_, err = repo.WithTx(tx).Append(ctx, own, eventstream.Exact(first.CurrentVersion), anEvent(t, 2))
							if err != nil {
								return err
							}
							_, err = repo.WithTx(tx).Append(ctx, "shared-1", eventstream.Any, anEvent(t, 3))
							return err
						})
						if err != nil {
							return err
						}
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
			head, err := repo.Stream(b.ctx, "shared-1")
			require.NoError(t, err)
			require.Equal(t, int64(120), head.Watermark)
			requireAuditClean(t, b)
		})
	}
}

func findPgBouncer() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("pgbouncer is not installed: apt-get install pgbouncer")
}

// bouncerPort is a part of the name of each PgBouncer's socket, in a directory of its own.
const bouncerPort = 6432

// startPgBouncer runs one for the bundle's database, with so many connections to the server, and gives its DSN.
func startPgBouncer(t *testing.T, b *bundle, bin string, connections int) string {
	t.Helper()
	server := b.pool.Config().ConnConfig
	// It refuses to run as root, and must then be able to read its file and to make its socket.
	dir, err := os.MkdirTemp("", "gapless-pgbouncer-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	password := "" // which PgBouncer does not take as an empty one
	if server.Password != "" {
		password = " password=" + quoted(server.Password)
	}
	config := fmt.Sprintf(`[databases]
d = host=%s port=%d dbname=%s user=%s%s
[pgbouncer]
listen_port = %d
unix_socket_dir = %s
auth_type = any
pool_mode = transaction
default_pool_size = %d
`, quoted(server.Host), server.Port, quoted(server.Database), quoted(server.User), password, bouncerPort, dir, connections)
	file := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o644))

	cmd := exec.Command(bin, file)
	if os.Getuid() == 0 {
		_, err := user.Lookup("nobody")
		require.NoError(t, err)
		cmd.Args = []string{bin, "-u", "nobody", file}
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("unix", fmt.Sprintf("%s/.s.PGSQL.%d", dir, bouncerPort), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	return fmt.Sprintf("postgres://anybody@/d?sslmode=disable&host=%s&port=%d", dir, bouncerPort)
}
