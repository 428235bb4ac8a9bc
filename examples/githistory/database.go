package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/internal/pgserver"
)

const (
	// envDSN is the environment variable for flag -dsn.
	envDSN = "GAPLESS_DEMO_DSN"
	// envTestDSN is the variable by which pgserver is told of a server.
	envTestDSN = "GAPLESS_TEST_DSN"
	// databaseName is created where no database is given.
	databaseName = "gapless_demo"
	// duplicateDatabase is the SQLSTATE of a CREATE DATABASE that comes too late.
	duplicateDatabase = "42P04"
)

// database is where the events go.
type database struct {
	dsn string
	// origin says where it came from.
	origin string
	// stays says that the database outlives this program.
	stays bool
	// secret says that the password in dsn is the user's, and not to be shown.
	secret bool
	stop   func() error
}

// openDatabase takes the database that the user gave, or makes one on a server of pgserver.
func openDatabase(ctx context.Context, dsn string, log io.Writer) (*database, error) {
	if dsn != "" {
		return &database{dsn: dsn, origin: "as given", stays: true, secret: true, stop: func() error { return nil }}, nil
	}
	// Durable: the times that are printed are those of a server that keeps its promises.
	server, err := pgserver.Start(ctx, pgserver.Options{Log: log, Durable: true})
	if err != nil {
		return nil, err
	}
	if err := createDatabase(ctx, server.DSN("")); err != nil {
		return nil, errors.Join(fmt.Errorf("creating database %s: %w", databaseName, err), server.Stop())
	}
	return &database{
		dsn:    server.DSN(databaseName),
		origin: server.Origin,
		secret: os.Getenv(envTestDSN) != "",
		stop:   server.Stop,
	}, nil
}

// createDatabase leaves a database of an earlier run as it is: the import goes on from there.
func createDatabase(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+databaseName+" ENCODING 'UTF8' TEMPLATE template0")
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == duplicateDatabase {
		return nil
	}
	return err
}

// psql is the command that opens the database. A password of the user's is left out; psql then asks for it.
func (d *database) psql() string {
	dsn := d.dsn
	if d.secret {
		u, err := url.Parse(dsn)
		if err != nil || u.User == nil {
			return `psql "$` + envDSN + `"`
		}
		u.User = url.User(u.User.Username())
		query := u.Query()
		query.Del("password")
		u.RawQuery = query.Encode()
		dsn = u.String()
	}
	return "psql '" + strings.ReplaceAll(dsn, "'", `'\''`) + "'"
}
