package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// Errors of a server that the user named.
var (
	// ErrNoDSN is returned when GAPLESS_TEST_SOURCE is dsn but there is no DSN.
	ErrNoDSN = errors.New(envDSN + " is not set; set it to postgres://user:password@host:5432/postgres")

	// ErrDSNForm is returned for a DSN that is not a URL.
	ErrDSNForm = errors.New(envDSN + " must be a URL such as postgres://user:password@host:5432/postgres?sslmode=disable")

	// ErrNotSuperuser is returned when a superuser is needed and the DSN's user is none.
	ErrNotSuperuser = errors.New("these tests disable triggers and create roles: " + envDSN +
		" must name a superuser (ALTER ROLE ... SUPERUSER), or unset it")

	// ErrTooOld is returned for a server that Gapless does not support.
	ErrTooOld = fmt.Errorf("the server is too old; PostgreSQL %d or newer is needed", minMajor)
)

// startDSN uses the server named by GAPLESS_TEST_DSN. Its settings are not changed.
func startDSN(ctx context.Context, req request) (*Server, error) {
	if req.env.dsn == "" {
		return nil, ErrNoDSN
	}
	base, err := parseDSN(req.env.dsn)
	if err != nil {
		return nil, err
	}
	info, err := inspect(ctx, base.String())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", envDSN, err)
	}
	if req.opts.NeedSuperuser && !info.superuser {
		return nil, ErrNotSuperuser
	}
	return &Server{
		Origin: fmt.Sprintf("server at %s, named by %s (PostgreSQL %s)", base.Host, envDSN, info.version),
		base:   base,
	}, nil
}

// parseDSN accepts URLs only, because the database in it has to be replaced. Errors do not repeat the DSN: it may hold
// a password.
func parseDSN(dsn string) (*url.URL, error) {
	u, err := url.Parse(dsn)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, ErrDSNForm
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/postgres"
	}
	return u, nil
}

// serverInfo is what a connected server says about itself.
type serverInfo struct {
	version   string
	superuser bool
}

// inspect connects once and refuses a server that is too old.
func inspect(ctx context.Context, dsn string) (serverInfo, error) {
	var info serverInfo
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return info, err
	}
	defer conn.Close(context.WithoutCancel(ctx))

	var number int
	err = conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int,
		       split_part(current_setting('server_version'), ' ', 1),
		       current_setting('is_superuser')::boolean`).Scan(&number, &info.version, &info.superuser)
	if err != nil {
		return info, fmt.Errorf("asking the server for its version: %w", err)
	}
	if number/10000 < minMajor {
		return info, fmt.Errorf("PostgreSQL %s: %w", info.version, ErrTooOld)
	}
	return info, nil
}

// localURL is the URL of a server that we started ourselves, and whose network does not leave this machine.
func localURL(hostport, password string) *url.URL {
	return &url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", password),
		Host:     hostport,
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
}
