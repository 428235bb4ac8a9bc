package migrations

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3/lock"
)

const (
	// lockID spells "gapless". Not goose's default: a service's own goose run, which holds that one, may call Up. Its high bits
	// keep it apart from the keys of events in flight.
	lockID int64 = 0x67_61_70_6c_65_73_73

	// lockTries, one second apart, are more than anyone waits: ctx sets the limit. Trying instead of blocking keeps the waiters
	// from holding a snapshot, which a CREATE INDEX CONCURRENTLY in a migration would wait for in turn.
	lockTries = 1 << 31

	// cleanupTimeout limits what is done after ctx has ended.
	cleanupTimeout = 10 * time.Second
)

// session is the one connection that a run of migrations uses, from the lock to the last statement. goose wants a *sql.DB: this
// one never has another connection.
type session struct {
	db     *sql.DB
	locker lock.SessionLocker
	before int64 // version found under the lock
}

// withSession calls fn with the migration lock held.
func withSession(ctx context.Context, db any, fn func(*session) error) (err error) {
	locker, err := lock.NewPostgresSessionLocker(
		lock.WithLockID(lockID), lock.WithLockTimeout(1, lockTries), lock.WithUnlockTimeout(1, 1))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	s := &session{db: sql.OpenDB(&onceConnector{Connector: connector(db)}), locker: locker}
	s.db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, s.db.Close()) }()

	if err := s.refuseReadOnly(ctx); err != nil {
		return err
	}
	if err := s.withConn(ctx, func(c *sql.Conn) error { return locker.SessionLock(ctx, c) }); err != nil {
		return fmt.Errorf("migrations: wait for the migration lock: %w", err)
	}
	defer s.cleanup(func(ctx context.Context, c *sql.Conn) error { return locker.SessionUnlock(ctx, c) })
	return fn(s)
}

func connector(db any) driver.Connector {
	if conn, ok := db.(*pgx.Conn); ok {
		return stdlib.GetConnector(*conn.Config())
	}
	return stdlib.GetPoolConnector(db.(*pgxpool.Pool))
}

// onceConnector connects once: the lock and the settings are on that connection, and no other may migrate.
type onceConnector struct {
	driver.Connector
	used atomic.Bool
}

func (c *onceConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.used.Swap(true) {
		return nil, errConnectionLost
	}
	return c.Connector.Connect(ctx)
}

// prepare makes the connection ready for goose, once the lock is held: what another process did meanwhile counts.
func (s *session) prepare(ctx context.Context, check func(*state) error, o Options) error {
	return s.withPgx(ctx, func(conn *pgx.Conn) error {
		st, err := readState(ctx, conn)
		if err != nil {
			return err
		}
		if err := check(&st); err != nil {
			return err
		}
		s.before = st.version
		// CREATE SCHEMA IF NOT EXISTS would ask for CREATE on the database even where the schema is there.
		var missing bool
		if err := conn.QueryRow(ctx, `SELECT to_regnamespace('eventstream') IS NULL`).Scan(&missing); err != nil {
			return fmt.Errorf("migrations: look for schema eventstream: %w", err)
		}
		if missing {
			if _, err := conn.Exec(ctx, `CREATE SCHEMA eventstream`); err != nil {
				return fmt.Errorf("migrations: create schema eventstream: %w", err)
			}
		}
		for name, value := range o.settings() {
			// For the session: goose runs each migration in a transaction of its own.
			if _, err := conn.Exec(ctx, `SELECT set_config($1, $2, false)`, name, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// settings are what the migrations are told of options.
func (o Options) settings() map[string]string {
	settings := map[string]string{}
	if o.PartitionCount != 0 {
		settings["eventstream.partition_count"] = strconv.Itoa(o.PartitionCount)
	}
	if o.DropEvents {
		settings["eventstream.drop_events"] = "on"
	}
	return settings
}

// unprepare takes the settings back, since a pool gets its connection back.
func (s *session) unprepare(o Options) {
	for name := range o.settings() {
		s.cleanup(func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, `RESET `+name)
			return err
		})
	}
}

// refuseToDropEvents asks before the first step back; the migrations that drop the tables ask again under their lock.
func (s *session) refuseToDropEvents(ctx context.Context) error {
	return s.withPgx(ctx, func(conn *pgx.Conn) error {
		var tables bool
		err := conn.QueryRow(ctx, `SELECT to_regclass('eventstream.pending_events') IS NOT NULL`).Scan(&tables)
		if err == nil && tables {
			_, err = conn.Exec(ctx, `SELECT eventstream.refuse_to_drop_events()`)
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "ES004" {
			return fmt.Errorf("%w: %w", ErrHoldsEvents, err)
		}
		return err
	})
}

func (s *session) refuseReadOnly(ctx context.Context) error {
	var standby, readOnly bool
	err := s.withPgx(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean`).
			Scan(&standby, &readOnly)
	})
	switch {
	case err != nil:
		return fmt.Errorf("migrations: %w", err)
	case standby:
		return fmt.Errorf("%w: the server is a standby: migrate the primary, and it follows", ErrReadOnly)
	case readOnly:
		return fmt.Errorf("%w: default_transaction_read_only is on for this session", ErrReadOnly)
	}
	return nil
}

// withConn calls fn with the connection, and gives it back to s.db for goose's turn.
func (s *session) withConn(ctx context.Context, fn func(*sql.Conn) error) (err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return fn(conn)
}

func (s *session) withPgx(ctx context.Context, fn func(*pgx.Conn) error) error {
	return s.withConn(ctx, func(c *sql.Conn) error {
		return c.Raw(func(driverConn any) error { return fn(driverConn.(*stdlib.Conn).Conn()) })
	})
}

// cleanup runs fn even when the caller's context has ended. Where fn fails, the connection is closed: a pool must not get back one
// that holds our lock or setting, and PostgreSQL drops both with the session.
func (s *session) cleanup(fn func(context.Context, *sql.Conn) error) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	err := s.withConn(ctx, func(c *sql.Conn) error { return fn(ctx, c) })
	if err == nil || errors.Is(err, errConnectionLost) {
		return
	}
	_ = s.withPgx(ctx, func(conn *pgx.Conn) error { return conn.Close(ctx) })
}
