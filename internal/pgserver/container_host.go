package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/wait"
)

const (
	// allowReplicationScript is for the images of both kinds, which let nobody replicate from outside the container.
	allowReplicationScript = `
line='host replication all all scram-sha-256'
grep -qxF "$line" "$PGDATA/pg_hba.conf" || echo "$line" >>"$PGDATA/pg_hba.conf"
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname=postgres --output=/dev/null --command='SELECT pg_reload_conf()'`

	// logTimeout bounds the question for a container's log, which is asked when something else went wrong already.
	logTimeout = 5 * time.Second
)

// ErrNoBridge is returned for a container that other containers have no address for.
var ErrNoBridge = errors.New("the container has no address of its own in the engine's default network, so no other can " +
	"replicate from it; set " + envSource + "=" + sourceBinaries + " to run without containers")

// startReplica starts a container of the same image that reaches this one by the network that the engine gives to all.
func (h *containerHost) startReplica(ctx context.Context) (*Server, error) {
	eng, err := findEngine(ctx)
	if err != nil {
		return nil, err
	}
	defer eng.client.Close()
	ip, err := h.ctr.ContainerIP(ctx)
	if err != nil {
		return nil, err
	}
	if ip == "" {
		return nil, ErrNoBridge
	}
	if _, err := h.execute(ctx, nil, "sh", "-euc", allowReplicationScript); err != nil {
		return nil, fmt.Errorf("allowing replication: %w", err)
	}
	req := h.req
	req.ownAddress = false
	return eng.serve(ctx, &containerHost{image: h.image, password: h.password, req: req, inMemory: h.inMemory}, containerPlan{
		command: append([]string{"sh", "-euc", replicaScript(), "sh"}, h.req.serverArgs()...),
		env:     clientEnv(localURL(net.JoinHostPort(ip, "5432"), h.password)),
		ready:   wait.ForLog("database system is ready to accept read-only connections"),
	})
}

// replicaScript takes the place of initdb: the entry points of both kinds of image leave data alone that is there. Its
// arguments are the server's. Parents of the directory that pg_basebackup would make could be entered by root alone.
func replicaScript() string {
	return `
mkdir -p "$PGDATA"
pg_basebackup ` + strings.Join(baseBackupArgs(`"$PGDATA"`), " ") + `
chown -R postgres:postgres "$PGDATA"
exec docker-entrypoint.sh postgres "$@"`
}

func (h *containerHost) execute(
	ctx context.Context, input []byte, program string, args ...string,
) ([]byte, error) {
	command := append([]string{program}, args...)
	if input != nil {
		// Testcontainers gives a program no input, but it copies files.
		file := "/tmp/gapless-input-" + rand.Text()
		if err := h.ctr.CopyToContainer(ctx, input, file, 0o600); err != nil {
			return nil, fmt.Errorf("%s: copying its input: %w", program, err)
		}
		command = append([]string{"sh", "-euc", `exec <"$0"; rm "$0"; exec "$@"`, file}, command...)
	}
	env := assignments(clientEnv(localURL("127.0.0.1:5432", h.password)))
	status, output, err := h.ctr.Exec(ctx, command, tcexec.WithEnv(env))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	var stdout, stderr bytes.Buffer
	if _, err := stdcopy.StdCopy(&stdout, &stderr, output); err != nil {
		return nil, fmt.Errorf("%s: reading its output: %w", program, err)
	}
	if status != 0 {
		return nil, fmt.Errorf("%s: exit status %d\n%s", program, status, tail(stderr.String()))
	}
	return stdout.Bytes(), nil
}

// logTail gives the end of the container's log, for error messages.
func (h *containerHost) logTail() string {
	if h.ctr == nil || h.ctr.Container == nil {
		return "(no container)"
	}
	ctx, cancel := context.WithTimeout(context.Background(), logTimeout)
	defer cancel()
	log, err := h.ctr.Logs(ctx)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	defer log.Close()
	content, _ := io.ReadAll(log)
	return tail(string(content))
}
