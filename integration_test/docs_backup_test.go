package integration_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/leftout"
	"github.com/gaplesspg/gapless/migrations"
)

const backupPage = "docs/operations-backup.md"

// The commands of the page on backup, restore and failover are one shell script, and print what the page shows. They run on clusters that the
// test makes, with the settings of the page; directories of the page become its own.
func TestOperationsBackupPage(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	bin, err := postgresPrograms()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		leftout.Skip(t, err)
	}
	m := newBackupMachine(t, bin)
	blocks := docBlocks(t, backupPage)
	settings := slices.IndexFunc(blocks, func(b docBlock) bool { return b.language == "ini" })
	m.cluster(t, "primary", m.local.Replace(blocks[settings].text))
	m.cluster(t, "new", "")
	m.seed(t)

	var script strings.Builder
	script.WriteString("set -eu\n")
	var shown []string
	for i, block := range blocks {
		if block.language == "sh" {
			fmt.Fprintf(&script, "echo @@@\n%s", m.local.Replace(block.text))
			shown = append(shown, "")
			if i+1 < len(blocks) && blocks[i+1].language == "text" {
				shown[len(shown)-1] = blocks[i+1].text
			}
		}
	}
	parts := strings.Split(m.run(t, script.String()), "@@@\n")[1:]
	require.Len(t, parts, len(shown))
	if os.Getenv("UPDATE_PAGE") != "" {
		updateBackupPage(t, parts)
		return
	}
	for i := range parts {
		require.Equal(t, normalOutput(shown[i]), normalOutput(parts[i]), "block %d of %s", i+1, backupPage)
	}
}

// backupMachine stands for the machine of the page.
type backupMachine struct {
	dir   string
	local *strings.Replacer
	env   []string
	cred  *syscall.Credential
}

// backupPorts are parts of the names of the clusters' sockets; they listen on nothing else. The page says that of the standby.
var backupPorts = map[string]int{"primary": 5431, "new": 5435, "standby": 5434}

// url is where a database of a cluster is.
func (m *backupMachine) url(cluster, database string) string {
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=%s", m.dir, backupPorts[cluster], database)
}

func newBackupMachine(t *testing.T, bin string) *backupMachine {
	t.Helper()
	// Sockets have short paths.
	dir, err := os.MkdirTemp("", "gapless-backup-")
	require.NoError(t, err)
	m := &backupMachine{dir: dir}
	m.local = strings.NewReplacer("/var/backups", dir+"/backups", "/srv/", dir+"/srv/")
	m.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "PGHOST="+dir, "PGUSER=postgres", "LC_ALL=C", "TZ=UTC", "PSQLRC=/dev/null",
		"DATABASE_URL="+m.url("primary", "shop"), "NEW_SERVER="+m.url("new", "postgres"), "RESTORED="+m.url("new", "shop"),
		"COPIED="+m.url("new", "copied"), "SOURCE="+m.url("standby", "shop"), "PRIMARY="+dir+"/srv/primary")
	for _, sub := range []string{"", "/backups", "/backups/wal", "/srv"} {
		require.NoError(t, os.MkdirAll(dir+sub, 0o755))
	}
	// PostgreSQL does not run as root.
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		require.NoError(t, err)
		uid, err := strconv.Atoi(nobody.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(nobody.Gid)
		require.NoError(t, err)
		m.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		for _, sub := range []string{"", "/backups", "/backups/wal", "/srv"} {
			require.NoError(t, os.Chown(dir+sub, uid, gid))
		}
	}
	t.Cleanup(func() {
		m.run(t, `for data in `+dir+`/srv/*; do
			test ! -f "$data/postmaster.pid" || pg_ctl --pgdata="$data" --mode=immediate --silent stop; done`)
		require.NoError(t, os.RemoveAll(dir))
	})
	return m
}

// cluster makes and starts one, with settings of the page besides those that keep it to this machine.
func (m *backupMachine) cluster(t *testing.T, name, settings string) {
	t.Helper()
	m.run(t, fmt.Sprintf(`set -eu
initdb --pgdata=%[1]s --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >/dev/null
cat >>%[1]s/postgresql.conf <<'END'
listen_addresses = ''
unix_socket_directories = '%[2]s'
shared_buffers = 16MB
fsync = off
%[3]s
END
pg_ctl --pgdata=%[1]s --log=%[1]s/log --options='-p %[4]d' --wait --silent start`, m.dir+"/srv/"+name, m.dir, settings, backupPorts[name]))
}

// seed gives the database of the page, with an order in it.
func (m *backupMachine) seed(t *testing.T) {
	t.Helper()
	m.run(t, fmt.Sprintf(`createdb -p %d shop`, backupPorts["primary"]))
	pool, err := pgxpool.New(t.Context(), m.url("primary", "shop"))
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, migrations.Up(t.Context(), pool, nil))
	_, err = pool.Exec(t.Context(), `SELECT eventstream.append('order-1', 'order.placed')`)
	require.NoError(t, err)
}

// run gives what a script prints, and fails with the test if it fails.
func (m *backupMachine) run(t *testing.T, script string) string {
	t.Helper()
	// Not the test's context, which has ended when it cleans up.
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Dir, cmd.Env = m.dir, m.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: m.cred, Setpgid: true}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	require.NoError(t, cmd.Run(), "%s\n%s", out.String(), problems.String())
	return out.String()
}

// updateBackupPage writes into the page what came out.
func updateBackupPage(t *testing.T, parts []string) {
	t.Helper()
	page, i := readDoc(t, backupPage), -1
	page = regexp.MustCompile("(?s)```sh\n.*?\n```\n(?:```text\n.*?```\n)?").ReplaceAllStringFunc(page, func(block string) string {
		i++
		before, _, shown := strings.Cut(block, "```text\n")
		if !shown {
			return block
		}
		return before + "```text\n" + strings.Trim(regexp.MustCompile(`(?m) +$`).ReplaceAllString(parts[i], ""), "\n") + "\n```\n"
	})
	require.NoError(t, os.WriteFile(filepath.Join("..", backupPage), []byte(page), 0o644))
}

// postgresPrograms finds the directory of the newest server's programs on this machine.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(dirs) == 0 {
		return "", fmt.Errorf("initdb is not on this machine: apt-get install postgresql")
	}
	return filepath.Dir(slices.Max(dirs)), nil
}
