// Package database gives the measurements a server and databases that hold both sides of the comparison: Gapless, and the baseline.
package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// serverOptions asks for a server that keeps its promises. Room in memory and no checkpoint: both would add the writing of pages, at
// moments that have nothing to do with the case at hand.
func serverOptions(log io.Writer) pgserver.Options {
	return pgserver.Options{
		Log:           log,
		Durable:       true,
		NeedSuperuser: true,
		Settings:      map[string]string{"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "1h"},
	}
}

// Databases makes databases that are copies of one.
type Databases struct {
	// Origin says which server it is.
	Origin string

	server   *pgserver.Server
	admin    *pgx.Conn
	template string
	made     int
}

// With starts a server, lets do work on it, and removes what was made. The log gets a line for each slow step.
func With(ctx context.Context, log io.Writer, do func(context.Context, *Databases) error) (err error) {
	server, err := pgserver.Start(ctx, serverOptions(log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	d, drop, err := open(ctx, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	return do(ctx, d)
}

// open creates and migrates the template. The function that it returns removes it.
func open(ctx context.Context, server *pgserver.Server) (*Databases, func() error, error) {
	admin, err := pgx.Connect(ctx, server.DSN(""))
	if err != nil {
		return nil, nil, err
	}
	name := "gapless_bench_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	d := &Databases{Origin: server.Origin, server: server, admin: admin, template: name}
	// What cleans up must work after an interruption too.
	late := context.WithoutCancel(ctx)
	closeAll := func() error { return errors.Join(d.drop(late, d.template), admin.Close(late)) }
	if _, err := admin.Exec(ctx, `CREATE DATABASE `+d.template+` ENCODING 'UTF8' TEMPLATE template0`); err != nil {
		return nil, nil, errors.Join(err, admin.Close(late))
	}
	if err := d.install(ctx); err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return d, closeAll, nil
}

func (d *Databases) drop(ctx context.Context, name string) error {
	_, err := d.admin.Exec(ctx, `DROP DATABASE `+name+` WITH (FORCE)`)
	return err
}

// install makes both sides of the comparison.
func (d *Databases) install(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, d.server.DSN(d.template))
	if err != nil {
		return err
	}
	err = migrations.Up(ctx, conn, nil)
	if err == nil {
		_, err = conn.Exec(ctx, baseline.Create)
	}
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// New makes a database and returns its DSN. The function drops the database, with whoever is connected to it.
func (d *Databases) New(ctx context.Context) (dsn string, drop func() error, err error) {
	d.made++
	name := fmt.Sprintf("%s_%d", d.template, d.made)
	if _, err := d.admin.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE `+d.template); err != nil {
		return "", nil, err
	}
	return d.server.DSN(name), func() error { return d.drop(context.WithoutCancel(ctx), name) }, nil
}

// Settings says in words what the server promises.
func (d *Databases) Settings(ctx context.Context) (string, error) {
	var version, fsync, commit, buffers string
	err := d.admin.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync'),
		current_setting('synchronous_commit'), current_setting('shared_buffers')`).Scan(&version, &fsync, &commit, &buffers)
	return fmt.Sprintf("PostgreSQL %s with fsync=%s, synchronous_commit=%s, shared_buffers=%s", version, fsync, commit, buffers), err
}
