package pgserver

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// ErrNotOurs is returned for what needs the machine, the files or the programs of a server that we did not start.
var ErrNotOurs = errors.New("a server named by " + envDSN + " can be connected to and no more: its programs and files are " +
	"out of reach; use Server.StartAnother for one that is not")

// host is the place where a server runs that we started: what the ways of getting one differ in once it is up.
type host interface {
	// startReplica starts a streaming replica of the server, by the same way.
	startReplica(ctx context.Context) (*Server, error)

	// execute runs one of PostgreSQL's programs of the server's own version, connected to the server by libpq's
	// variables, and gives what it printed. A nil input is an empty one.
	execute(ctx context.Context, input []byte, program string, args ...string) ([]byte, error)
}

// ownHost gives the server's host, or ErrNotOurs.
func (s *Server) ownHost() (host, error) {
	if s.host == nil {
		return nil, ErrNotOurs
	}
	return s.host, nil
}

// clientEnv tells a program of PostgreSQL, by libpq's variables, where to connect. Arguments would show the password to
// whoever lists processes.
func clientEnv(server *url.URL) map[string]string {
	password, _ := server.User.Password()
	return map[string]string{
		"PGHOST": server.Hostname(), "PGPORT": server.Port(), "PGUSER": server.User.Username(), "PGPASSWORD": password,
	}
}

// assignments writes variables in the form of os.Environ.
func assignments(env map[string]string) []string {
	lines := make([]string, 0, len(env))
	for name, value := range env {
		lines = append(lines, name+"="+value)
	}
	return lines
}

// tail gives the last lines of a log, for error messages.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
