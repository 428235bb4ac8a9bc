package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// envServer tells the tests which server is theirs.
const envServer = "GAPLESS_COMMAND_TEST_SERVER"

func TestMain(m *testing.M) {
	testscript.Main(withServer{m}, map[string]func(){"gapless": main})
}

// withServer runs tests beside a server with a migrated template. The programs that scripts start come past it.
type withServer struct{ m *testing.M }

// Run starts the server, runs the tests, and stops it.
func (w withServer) Run() int {
	server, err := pgserver.Start(context.Background(), pgserver.Options{Log: os.Stderr, NeedSuperuser: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stderr, "PostgreSQL:", server.Origin)
	code := w.m.Run
	template, err := newTemplate(server)
	result := 1
	if err == nil {
		err = errors.Join(os.Setenv(envServer, server.DSN("")), os.Setenv(envServer+"_TEMPLATE", template))
		result = code()
		err = errors.Join(err, execute(server.DSN(""), "DROP DATABASE "+template+" WITH (FORCE)"))
	}
	if err = errors.Join(err, server.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return result
}

// newTemplate makes a migrated database, of which each script gets a copy.
func newTemplate(server *pgserver.Server) (string, error) {
	name := newName()
	if err := execute(server.DSN(""), "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	pool, err := pgxpool.New(context.Background(), server.DSN(name))
	if err != nil {
		return "", err
	}
	defer pool.Close()
	return name, migrations.Up(context.Background(), pool, nil)
}

func newName() string { return "gapless_command_" + strings.ReplaceAll(uuid.NewString(), "-", "") }

// execute runs statements in a database.
func execute(dsn, sql string) error {
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), sql)
	return err
}
