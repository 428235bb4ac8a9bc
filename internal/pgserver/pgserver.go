// Package pgserver finds or starts the PostgreSQL server that the integration tests, the example programs and the
// benchmarks run against, so that a newcomer types nothing but `go test` or `go run`.
//
// [Start] tries, in this order: the server named by GAPLESS_TEST_DSN; a container by Testcontainers; a throwaway
// cluster made with the PostgreSQL programs on this machine. When none works the error is a [*StartError], which says
// what was tried, why each way failed, and what to install. [Server.Origin] says which way it was.
//
// A test about more than one server has [Server.StartAnother], [Server.StartReplica] and [Server.Promote], and
// [Server.Dump] and [Server.Restore] to carry a database from one server to another.
//
// Environment variables, all optional:
//
//	GAPLESS_TEST_DSN     postgres:// URL of a running server, used as it is
//	GAPLESS_TEST_IMAGE   container image; gapless-postgres:15-bookworm, :17-trixie and :18-forky are built when missing
//	GAPLESS_TEST_BINDIR  directory with postgres and initdb
//	GAPLESS_TEST_SOURCE  dsn, container or binaries: that way and no other
package pgserver

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"sync"
)

// minMajor is the oldest PostgreSQL that Gapless supports.
const minMajor = 15

// Options says what kind of server is wanted. The zero value is a fast server for tests.
type Options struct {
	// Log receives a line for each slow step, such as building an image. Default: nowhere.
	Log io.Writer

	// Durable leaves fsync, synchronous_commit and full_page_writes on, as benchmarks and demonstrations need: numbers
	// without them are not honest. Default: off, for tests, which throw the data away; a container may then have them in memory.
	Durable bool

	// Settings are further server settings (name and value, as in postgresql.conf); they win over the defaults, which
	// are max_connections=300, max_prepared_transactions=100 and shared_buffers=256MB. A server named by GAPLESS_TEST_DSN keeps its own settings.
	Settings map[string]string

	// NeedSuperuser refuses a GAPLESS_TEST_DSN whose user is not a superuser. The other ways always give one.
	NeedSuperuser bool
}

// Server is a running PostgreSQL server. Its methods may be called from several goroutines.
type Server struct {
	// Origin says in words where the server came from and which version it is.
	Origin string

	base     *url.URL
	host     host // nil for a server named by GAPLESS_TEST_DSN
	way      string
	env      environment
	stopOnce sync.Once
	stopErr  error
	stop     func() error
}

// Start gives a running server by the first way that works. The caller must call [Server.Stop]; if the process dies
// before that, the container or cluster is still removed.
func Start(ctx context.Context, opts Options) (*Server, error) {
	env := readEnvironment()
	chosen, err := env.sources()
	if err != nil {
		return nil, err
	}
	return startFirst(ctx, chosen, request{opts: opts, env: env, ownAddress: true})
}

// DSN gives the URL of a database on this server, for the user who owns the server (a superuser, unless the server is
// one named by GAPLESS_TEST_DSN). An empty name means the maintenance database.
func (s *Server) DSN(database string) string {
	u := *s.base
	if database != "" {
		u.Path = "/" + database
	}
	return u.String()
}

// Stop ends the server and removes everything it left behind; a server named by GAPLESS_TEST_DSN is left alone. Further
// calls do nothing and give the first result.
func (s *Server) Stop() error {
	s.stopOnce.Do(func() {
		if s.stop != nil {
			s.stopErr = s.stop()
		}
	})
	return s.stopErr
}

// request is what one way of getting a server is asked for.
type request struct {
	opts Options
	env  environment
	// ownAddress says that a container may be reached by its own address. Not one that is stopped while others are started, which are then
	// given that address: a replica has the password of its primary.
	ownAddress bool
}

func (r request) logf(format string, args ...any) {
	if r.opts.Log != nil {
		fmt.Fprintf(r.opts.Log, "pgserver: "+format+"\n", args...)
	}
}

// serverArgs gives the settings as arguments of the postgres program, sorted by name.
func (r request) serverArgs() []string {
	settings := map[string]string{"max_connections": "300", "max_prepared_transactions": "100", "shared_buffers": "256MB"}
	if !r.opts.Durable {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, r.opts.Settings)

	args := make([]string, 0, 2*len(settings))
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
