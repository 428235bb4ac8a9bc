package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

const (
	// sparePool is how many connections a pool has beyond those of the callers.
	sparePool = 4
	// maxCallers keeps two pools within the server's connections.
	maxCallers = 128
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

// databases makes databases that are copies of one.
type databases struct {
	server   *pgserver.Server
	admin    *pgx.Conn
	template string
	made     int
}

// openDatabases creates and migrates the template. The function that it returns removes it.
func openDatabases(ctx context.Context, server *pgserver.Server) (*databases, func() error, error) {
	admin, err := pgx.Connect(ctx, server.DSN(""))
	if err != nil {
		return nil, nil, err
	}
	d := &databases{server: server, admin: admin, template: fmt.Sprintf("gapless_bench_%d", os.Getpid())}
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

func (d *databases) drop(ctx context.Context, name string) error {
	_, err := d.admin.Exec(ctx, `DROP DATABASE `+name+` WITH (FORCE)`)
	return err
}

// install makes both sides of the comparison.
func (d *databases) install(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, d.server.DSN(d.template))
	if err != nil {
		return err
	}
	if err := migrations.Up(ctx, conn, nil); err != nil {
		return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	_, err = conn.Exec(ctx, createBare)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// store is a database, and what connects to it: a pool for each side.
type store struct {
	raw, gapless *pgxpool.Pool
	repo         *eventstream.Repository
	callers      int
	sizes        sizes
}

// open makes a database for a number of callers. The function that it returns closes the pools and drops the database.
func (d *databases) open(ctx context.Context, callers int, o options) (*store, func() error, error) {
	d.made++
	name := fmt.Sprintf("%s_%d", d.template, d.made)
	if _, err := d.admin.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE `+d.template); err != nil {
		return nil, nil, err
	}
	s := &store{callers: callers, sizes: o.sizes}
	var config *eventstream.Config
	if !o.group {
		config = &eventstream.Config{Group: eventstream.GroupConfig{Off: true}}
	}
	closeAll := func() error {
		for _, pool := range []*pgxpool.Pool{s.raw, s.gapless} {
			if pool != nil {
				pool.Close()
			}
		}
		return d.drop(context.WithoutCancel(ctx), name)
	}
	if err := s.connect(ctx, d.server.DSN(name), config); err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return s, closeAll, nil
}

func (s *store) connect(ctx context.Context, dsn string, repoConfig *eventstream.Config) error {
	for _, pool := range []**pgxpool.Pool{&s.raw, &s.gapless} {
		config, err := pgxpool.ParseConfig(dsn)
		if err != nil {
			return err
		}
		config.MaxConns = int32(s.callers + sparePool)
		if *pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
			return err
		}
	}
	var err error
	s.repo, err = eventstream.NewRepository(s.gapless, repoConfig)
	return err
}

// machine says where the numbers come from.
func (d *databases) machine(ctx context.Context) (machine, error) {
	var m machine
	err := d.admin.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync'),
		current_setting('synchronous_commit'), current_setting('shared_buffers')`).
		Scan(&m.postgres, &m.fsync, &m.commit, &m.buffers)
	return m, err
}
