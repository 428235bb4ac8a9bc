// Command devdb starts a throwaway PostgreSQL server, migrates a database on it, and does what generated files need of it: it
// writes or compares the definitions of the schema, and runs a command with the database's URL in DATABASE_URL and SQLC_DATABASE_URI.
//
//	go run ./internal/devdb -write docs/schema -reference docs
//	go run ./internal/devdb -check docs/schema -- go tool -modfile=tools/go.mod sqlc vet
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/internal/reference"
	"github.com/gaplesspg/gapless/internal/schemadump"
	"github.com/gaplesspg/gapless/migrations"
)

const database = "gapless_devdb"

func main() {
	write := flag.String("write", "", "write the schema, one file an object, to this `directory`")
	check := flag.String("check", "", "compare the schema with the files of this `directory`")
	manual := flag.String("reference", "", "write the generated pages of the manual to this `directory`, from the root of the repository")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *write, *check, *manual, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "devdb:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write, check, manual string, command []string) (err error) {
	server, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	fmt.Fprintln(os.Stderr, "devdb:", server.Origin)

	if err := create(ctx, server.DSN("")); err != nil {
		return err
	}
	dsn := server.DSN(database)
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := migrations.Up(ctx, conn, nil); err != nil {
		return err
	}
	return errors.Join(
		dump(ctx, conn, write, check),
		writeReference(ctx, conn, manual),
		execute(ctx, dsn, command))
}

// create makes a new database; on a server that is not thrown away, the last run's is in the way.
func create(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `DROP DATABASE IF EXISTS `+database+` WITH (FORCE)`); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE DATABASE `+database+` ENCODING 'UTF8' TEMPLATE template0`)
	return err
}

func dump(ctx context.Context, conn *pgx.Conn, write, check string) error {
	if write == "" && check == "" {
		return nil
	}
	files, err := schemadump.Read(ctx, conn)
	if err != nil {
		return err
	}
	if write != "" {
		if err := files.Write(write); err != nil {
			return err
		}
	}
	if check == "" {
		return nil
	}
	return files.Check(check)
}

// writeReference writes the pages of the manual that follow from the code.
func writeReference(ctx context.Context, conn *pgx.Conn, directory string) error {
	if directory == "" {
		return nil
	}
	design, err := os.ReadFile(filepath.Join(directory, "design.md"))
	if err != nil {
		return err
	}
	functions, err := reference.SQL(ctx, conn, string(design))
	if err != nil {
		return err
	}
	config, err := reference.Config(".")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(directory, "reference-sql.md"), []byte(functions), 0o644),
		os.WriteFile(filepath.Join(directory, "reference-config.md"), []byte(config), 0o644))
}

func execute(ctx context.Context, dsn string, command []string) error {
	if len(command) == 0 {
		return nil
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+dsn, "SQLC_DATABASE_URI="+dsn)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}
