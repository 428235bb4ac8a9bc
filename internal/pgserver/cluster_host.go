package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// baseBackupArgs are how a replica copies its primary. It writes down where it copied from, so that it follows it.
func baseBackupArgs(target string) []string {
	return []string{
		"--pgdata=" + target, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast",
		"--no-sync", "--no-manifest", "--no-password",
	}
}

// startReplica copies the cluster into a directory of its own. The settings are this cluster's: a replica refuses to start
// with a lower max_connections than its primary's. initdb has allowed replication from this machine.
func (c *cluster) startReplica(ctx context.Context) (*Server, error) {
	replica := &cluster{installation: c.installation, req: c.req, password: c.password}
	return startCluster(ctx, replica, func(replica *cluster, ctx context.Context) error {
		_, err := replica.client(ctx, c, nil, "pg_basebackup", baseBackupArgs(replica.data())...)
		return err
	})
}

func (c *cluster) execute(ctx context.Context, input []byte, program string, args ...string) ([]byte, error) {
	return c.client(ctx, c, input, program, args...)
}

// client runs a program in this cluster's directory, connected to a server that may be another one.
func (c *cluster) client(
	ctx context.Context, server *cluster, input []byte, program string, args ...string,
) ([]byte, error) {
	cmd := c.command(ctx, program, args...)
	cmd.Env = append(cmd.Env, assignments(clientEnv(localURL(server.address, server.password)))...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := cmd.Output()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return nil, fmt.Errorf("%s: %w\n%s", program, err, tail(stderr.String()))
	case err != nil:
		return nil, fmt.Errorf("%s: %w; install PostgreSQL's client programs next to its server", program, err)
	}
	return output, nil
}
