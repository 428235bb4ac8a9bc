package pgserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// promoteTimeout is how long a replica may take to become a primary.
const promoteTimeout = time.Minute

// Errors of having more than one server.
var (
	// ErrNoOther is returned when the only server is one named by GAPLESS_TEST_DSN and none can be started here.
	ErrNoOther = errors.New("this needs a server of its own, which the one named by " + envDSN + " cannot give")

	// ErrNotPromoted is returned when a replica does not become a primary in time.
	ErrNotPromoted = fmt.Errorf("the replica did not become a primary within %s; look into its log", promoteTimeout)
)

// StartAnother starts a server of its own, by the way in which this one was found, so that a test may stop it or change its
// settings. A server named by GAPLESS_TEST_DSN has no second: then a container or a cluster is started as if nothing was
// named, and [ErrNoOther] says that neither works. The caller must call [Server.Stop].
func (s *Server) StartAnother(ctx context.Context, opts Options) (*Server, error) {
	env := s.env
	env.dsn, env.source = "", s.way
	if s.way == sourceDSN {
		env.source = ""
	}
	chosen, err := env.sources()
	if err != nil {
		return nil, err
	}
	other, err := startFirst(ctx, chosen, request{opts: opts, env: env})
	var none *StartError
	if s.way == sourceDSN && errors.As(err, &none) {
		return nil, fmt.Errorf("%w: %w", ErrNoOther, none)
	}
	return other, err
}

// StartReplica starts a streaming replica (a hot standby: it can be read) with the settings of this server, which may itself
// be a replica that was promoted. The caller must call [Server.Stop] for each of the two, in any order.
//
// Replication is asynchronous: what was committed here arrives there later. Errors: [ErrNotOurs].
func (s *Server) StartReplica(ctx context.Context) (*Server, error) {
	own, err := s.ownHost()
	if err != nil {
		return nil, err
	}
	replica, err := own.startReplica(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting a replica: %w", err)
	}
	replica.way, replica.env = s.way, s.env
	return replica, nil
}

// Promote makes a replica a primary, and returns when it takes writes. It has what had arrived by then; the old primary is
// not told, and goes on.
func (s *Server) Promote(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN(""))
	if err != nil {
		return fmt.Errorf("promoting: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var done bool
	seconds := int(promoteTimeout.Seconds())
	if err := conn.QueryRow(ctx, `SELECT pg_catalog.pg_promote(true, $1)`, seconds).Scan(&done); err != nil {
		return fmt.Errorf("promoting: %w", err)
	}
	if !done {
		return ErrNotPromoted
	}
	return nil
}
