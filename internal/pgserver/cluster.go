package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// clusterPrefix starts the name of a cluster's directory; the owner's process id follows.
	clusterPrefix = "gapless-pg-"

	// stopTimeout is how long a server may take to stop before it is killed.
	stopTimeout = 10 * time.Second

	// portAttempts is for the moment between finding a free port and using it.
	portAttempts = 3
)

// Errors of starting a cluster.
var (
	// ErrNoAccount is returned to root when there is nobody else to run as.
	ErrNoAccount = errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")

	// ErrServerEnded is returned when the server's process ends while it should start.
	ErrServerEnded = errors.New("the server ended while it was starting")
)

// cluster is a throwaway PostgreSQL in a temporary directory.
type cluster struct {
	installation
	account  account
	req      request
	dir      string
	address  string // of the server, once it runs
	password string
	dog      *watchdog
	server   *exec.Cmd
	ended    chan struct{} // closed when the server's process is gone
}

// startBinaries makes a cluster with the newest PostgreSQL on this machine.
func startBinaries(ctx context.Context, req request) (*Server, error) {
	found, err := findInstallation(ctx, req.env.bindir)
	if err != nil {
		return nil, err
	}
	removeLeftoverClusters()
	return startCluster(ctx, &cluster{installation: found, req: req, password: rand.Text()}, (*cluster).initdb)
}

// startCluster gives a cluster a directory, lets fill put the data in it, and starts the server.
func startCluster(
	ctx context.Context, c *cluster, fill func(*cluster, context.Context) error,
) (*Server, error) {
	err := c.makeDir()
	if err == nil {
		err = fill(c, ctx)
	}
	if err == nil {
		err = c.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("using %s: %w", c.bindir, err), c.remove())
	}
	return &Server{
		Origin: fmt.Sprintf("cluster from %s (PostgreSQL %s)", c.bindir, c.version),
		base:   localURL(c.address, c.password),
		host:   c,
		stop:   c.remove,
	}, nil
}

// makeDir makes the directory, for the account that the programs run as, and arms the watchdog.
func (c *cluster) makeDir() (err error) {
	if c.account, err = serverAccount(); err != nil {
		return err
	}
	if c.dir, err = os.MkdirTemp("", clusterPrefix+strconv.Itoa(os.Getpid())+"-"); err != nil {
		return err
	}
	if c.dog, err = startWatchdog(removeClusterScript, c.dir); err != nil {
		c.req.logf("a killed run would leave its cluster behind: %v", err)
	}
	return c.account.own(c.dir)
}

// initdb prefers the locale of our images. Systems whose C library lacks it get C, which sorts the same.
func (c *cluster) initdb(ctx context.Context) error {
	pwfile := filepath.Join(c.dir, "password")
	if err := os.WriteFile(pwfile, []byte(c.password+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(pwfile)
	if err := c.account.own(pwfile); err != nil {
		return err
	}
	var firstErr error
	for _, locale := range []string{"C.UTF-8", "C"} {
		cmd := c.command(ctx, "initdb", "--pgdata="+c.data(), "--username=postgres", "--pwfile="+pwfile,
			"--encoding=UTF8", "--locale="+locale, "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		if firstErr == nil {
			firstErr = fmt.Errorf("initdb: %w\n%s", err, strings.TrimSpace(string(out)))
		}
	}
	return firstErr
}

// start runs the server on a free port.
func (c *cluster) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for range portAttempts {
		if c.address, err = freeAddress(); err != nil {
			return err
		}
		if err = c.launch(); err != nil {
			return err
		}
		if err = c.waitReady(ctx); err == nil {
			return nil
		}
		if !errors.Is(err, ErrServerEnded) {
			break
		}
	}
	return fmt.Errorf("%w\n%s", err, c.logTail())
}

// launch starts the server's process and watches for its end.
func (c *cluster) launch() error {
	host, port, err := net.SplitHostPort(c.address)
	if err != nil {
		return err
	}
	logFile, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()

	args := append([]string{"-D", c.data(), "-h", host, "-p", port, "-k", socketDir(c.dir)}, c.req.serverArgs()...)
	// Not bound to a context: the server outlives Start.
	cmd := c.command(context.Background(), "postgres", args...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	c.server, c.ended = cmd, ended
	return nil
}

// waitReady connects until the server answers, its process ends, or ctx does.
func (c *cluster) waitReady(ctx context.Context) error {
	dsn := localURL(c.address, c.password).String()
	for delay := 20 * time.Millisecond; ; delay = min(2*delay, 500*time.Millisecond) {
		select {
		case <-c.ended:
			return ErrServerEnded
		case <-ctx.Done():
			return fmt.Errorf("waiting for the server: %w", ctx.Err())
		case <-time.After(delay):
		}
		if _, err := inspect(ctx, dsn); err == nil {
			return nil
		}
	}
}

// remove stops the server and removes the directory.
func (c *cluster) remove() error {
	if c.server != nil {
		_ = stopNow(c.server)
		select {
		case <-c.ended:
		case <-time.After(stopTimeout):
			_ = killGroup(c.server)
			<-c.ended
		}
	}
	err := os.RemoveAll(c.dir)
	c.dog.dismiss()
	return err
}

// command prepares one of PostgreSQL's programs to run as the cluster's account.
func (c *cluster) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bindir, program), args...)
	c.account.apply(cmd)
	// The account may neither enter our working directory nor own our HOME.
	cmd.Dir = c.dir
	// The caller's PG... variables may name another server, and its options.
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") })
	cmd.Env = append(env, "HOME="+c.dir)
	return cmd
}

func (c *cluster) data() string    { return filepath.Join(c.dir, "data") }
func (c *cluster) logPath() string { return filepath.Join(c.dir, "log") }

// logTail gives the end of the server's log, for error messages.
func (c *cluster) logTail() string {
	content, err := os.ReadFile(c.logPath())
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	return tail(string(content))
}

// freeAddress asks the system for a port that nobody uses.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
