package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/internal/pgserver"
)

const (
	// envDSN is the environment variable for flag -dsn.
	envDSN = "GAPLESS_DEMO_DSN"
	// databaseName is created where no database is given.
	databaseName = "gapless_bank"
	// duplicateDatabase is the SQLSTATE of a CREATE DATABASE that comes too late.
	duplicateDatabase = "42P04"
)

// database is where the events and the balances go.
type database struct {
	dsn string
	// origin says where it came from.
	origin string
	stop   func() error
}

// openDatabase takes the database that the user gave, or makes one on a server of pgserver.
func openDatabase(ctx context.Context, dsn string, log io.Writer) (*database, error) {
	if dsn != "" {
		return &database{dsn: dsn, origin: "as given", stop: func() error { return nil }}, nil
	}
	// Not durable: the server itself is not killed here, so it need not wait for its disk.
	server, err := pgserver.Start(ctx, pgserver.Options{Log: log})
	if err != nil {
		return nil, err
	}
	if err := createDatabase(ctx, server.DSN("")); err != nil {
		return nil, errors.Join(fmt.Errorf("creating database %s: %w", databaseName, err), server.Stop())
	}
	return &database{dsn: server.DSN(databaseName), origin: server.Origin, stop: server.Stop}, nil
}

// createDatabase leaves a database of an earlier run as it is: this one goes on with its accounts.
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

// environment is what a teller is started with: the database is not for the list of processes, which
// shows arguments.
func environment(dsn string) []string {
	return append(os.Environ(), envTeller+"="+dsn)
}
