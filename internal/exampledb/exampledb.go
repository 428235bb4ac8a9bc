// Package exampledb is where the example programs have their database from.
package exampledb

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/internal/pgserver"
)

// EnvDSN is the environment variable for the flag -dsn of the examples.
const EnvDSN = "GAPLESS_DEMO_DSN"

// duplicateDatabase is the SQLSTATE of a CREATE DATABASE that comes too late.
const duplicateDatabase = "42P04"

// Database is where an example works.
type Database struct {
	// DSN leads to it, and Origin says where it came from.
	DSN, Origin string
	// Given says that it is the user's, and stays.
	Given bool
	// Stop ends the server that was started for it, if one was.
	Stop func() error
}

// Open takes the database that the user gave, or makes one of this name on a server of pgserver. One of an earlier run is left as it is.
func Open(ctx context.Context, dsn, name string, options pgserver.Options) (*Database, error) {
	if dsn != "" {
		return &Database{DSN: dsn, Origin: "as given", Given: true, Stop: func() error { return nil }}, nil
	}
	server, err := pgserver.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := create(ctx, server.DSN(""), name); err != nil {
		return nil, errors.Join(fmt.Errorf("creating database %s: %w", name, err), server.Stop())
	}
	return &Database{DSN: server.DSN(name), Origin: server.Origin, Stop: server.Stop}, nil
}

func create(ctx context.Context, dsn, name string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" ENCODING 'UTF8' TEMPLATE template0")
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == duplicateDatabase {
		return nil
	}
	return err
}
