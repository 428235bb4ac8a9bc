package database

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// SparePool is how many connections a pool has beyond those of the callers.
	SparePool = 4
	// MaxCallers keeps two pools within the server's connections.
	MaxCallers = 128
	// endedPoll is how often the server is asked whether sessions have ended.
	endedPoll = 5 * time.Millisecond
)

// Store is a database, and what connects to it: a pool for each side.
type Store struct {
	// DSN is for further connections.
	DSN string
	// Raw and Gapless are the pools of the sides.
	Raw, Gapless *pgxpool.Pool
	// Repo is the repository on Gapless.
	Repo *eventstream.Repository

	connections int
	config      *eventstream.Config
}

// Store makes a database for a number of callers. The function that it returns closes the pools and drops the database.
func (d *Databases) Store(ctx context.Context, callers int, config *eventstream.Config) (*Store, func() error, error) {
	dsn, drop, err := d.New(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := &Store{DSN: dsn, connections: callers + SparePool, config: config}
	closeAll := func() error {
		s.disconnect()
		return drop()
	}
	if err := s.connect(ctx); err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return s, closeAll, nil
}

func (s *Store) connect(ctx context.Context) (err error) {
	if s.Raw, err = Connect(ctx, s.DSN, s.connections, "bench raw"); err != nil {
		return err
	}
	if s.Gapless, err = Connect(ctx, s.DSN, s.connections, "bench"); err != nil {
		return err
	}
	s.Repo, err = eventstream.NewRepository(s.Gapless, s.config)
	return err
}

func (s *Store) disconnect() {
	for _, pool := range []*pgxpool.Pool{s.Raw, s.Gapless} {
		if pool != nil {
			pool.Close()
		}
	}
}

// Reconnect waits until all sessions have ended, so that the server's statistics have everything that they did, and opens new pools.
func (s *Store) Reconnect(ctx context.Context) error {
	s.disconnect()
	if err := s.connect(ctx); err != nil {
		return err
	}
	conn, err := s.Raw.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	for {
		var others int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`).Scan(&others)
		if err != nil || others == 0 {
			return err
		}
		select {
		case <-time.After(endedPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Seed writes so many streams on both sides, with so many events each.
func (s *Store) Seed(ctx context.Context, streams, events, limit int) error {
	seed := baseline.Seed{First: 1, Last: streams, Events: events, Limit: limit}
	return errors.Join(seed.Fill(ctx, s.Gapless), seed.FillBare(ctx, s.Raw))
}

// Connect makes a pool, as another process would.
func Connect(ctx context.Context, dsn string, connections int, application string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(connections)
	config.ConnConfig.RuntimeParams["application_name"] = application
	return pgxpool.NewWithConfig(ctx, config)
}
