package integration_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/internal/schemadump"
	"github.com/gaplesspg/gapless/migrations"
)

// migrationLock is the advisory lock that migrations.Up holds.
const migrationLock = 0x67_61_70_6c_65_73_73

type migrationsBundle struct {
	ctx  context.Context
	dsn  string
	pool *pgxpool.Pool
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)

	// An empty database, and a pool of one connection: what leaks into it shows, and who wants two hangs.
	setup := func(t *testing.T) *migrationsBundle {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		t.Cleanup(cancel)
		dsn := newDatabase(t)
		return &migrationsBundle{ctx: ctx, dsn: dsn, pool: migrationsPool(t, dsn, nil)}
	}

	t.Run("UpDownUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t)

		var log bytes.Buffer
		opts := &migrations.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		require.NoError(t, migrations.Up(b.ctx, b.pool, opts))
		fresh := b.dump(t)
		require.Equal(t, migrations.Latest(), b.version(t))
		require.Equal(t, int(migrations.Latest()), strings.Count(log.String(), "direction=up"), "each is logged once")
		require.Contains(t, log.String(), "version=1 name=00001_store.sql direction=up duration=")

		require.NoError(t, migrations.DownTo(b.ctx, b.pool, 0, nil))
		require.Zero(t, b.version(t))
		require.Equal(t, []string{"schema.sql"}, slices.Collect(maps.Keys(b.dump(t))), "the empty schema is left, and goose's table")

		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
		require.Empty(t, cmp.Diff(fresh, b.dump(t)))
	})

	t.Run("EachStepDownAndUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))

		// One step up is goose's, as who runs its command takes it: Up goes all the way.
		db := stdlib.OpenDBFromPool(b.pool)
		defer db.Close()
		steps, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("../migrations"),
			goose.WithTableName("eventstream.goose_db_version"), goose.WithDisableGlobalRegistry(true))
		require.NoError(t, err)
		above := b.dump(t)
		for want := migrations.Latest() - 1; want >= 0; want-- {
			require.NoError(t, migrations.Down(b.ctx, b.pool, nil))
			require.Equal(t, want, b.version(t))
			below := b.dump(t)
			_, err := steps.UpByOne(b.ctx)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(above, b.dump(t)), "after a step up from version %d", want)
			require.NoError(t, migrations.Down(b.ctx, b.pool, nil))
			require.Empty(t, cmp.Diff(below, b.dump(t)), "after a step down to version %d", want)
			above = below
		}
		require.NoError(t, migrations.Down(b.ctx, b.pool, nil), "nothing left to undo")
	})

	t.Run("DownOfAnEmptyDatabaseCreatesNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, migrations.Down(b.ctx, b.pool, nil))
		require.NoError(t, migrations.DownTo(b.ctx, b.pool, 0, nil))
		require.Empty(t, b.dump(t))
		require.ErrorContains(t, migrations.DownTo(b.ctx, b.pool, -1, nil), "must be 0 or above")
	})

	t.Run("StatusAndVersion", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		status, err := migrations.Status(b.ctx, b.pool)
		require.NoError(t, err)
		require.Len(t, status, int(migrations.Latest()))
		require.Zero(t, b.version(t))
		require.Empty(t, b.dump(t), "Status and Version only read")

		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
		require.NoError(t, migrations.Down(b.ctx, b.pool, nil))
		status, err = migrations.Status(b.ctx, b.pool)
		require.NoError(t, err)
		for i, s := range status {
			require.Equal(t, int64(i+1), s.Version)
			require.True(t, strings.HasPrefix(s.Name, fmt.Sprintf("%05d_", i+1)), s.Name)
			require.Equal(t, s.Version < migrations.Latest(), s.Applied)
			if s.Applied {
				require.WithinDuration(t, time.Now(), s.AppliedAt, 10*time.Minute)
			}
		}
	})

	t.Run("NewerDatabaseIsRefused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
		newer := migrations.Latest() + 1
		b.exec(t, `INSERT INTO eventstream.goose_db_version (version_id, is_applied) VALUES ($1, true)`, newer)

		for name, err := range map[string]error{
			"Up":     migrations.Up(b.ctx, b.pool, nil),
			"Down":   migrations.Down(b.ctx, b.pool, nil),
			"DownTo": migrations.DownTo(b.ctx, b.pool, 0, nil),
		} {
			var got *migrations.DatabaseNewerError
			require.ErrorAs(t, err, &got, name)
			require.Equal(t, migrations.DatabaseNewerError{Database: newer, Code: migrations.Latest()}, *got, name)
		}
		require.Equal(t, newer, b.version(t))
		status, err := migrations.Status(b.ctx, b.pool)
		require.NoError(t, err)
		require.Equal(t, newer, status[len(status)-1].Version)
		require.Empty(t, status[len(status)-1].Name)
	})

	t.Run("PartitionCount", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, count := range []int{-1, 32769} {
			err := migrations.Up(b.ctx, b.pool, &migrations.Options{PartitionCount: count})
			require.ErrorContains(t, err, fmt.Sprintf("PartitionCount is %d: must be 1 to 32768", count))
		}

		require.NoError(t, migrations.Up(b.ctx, b.pool, &migrations.Options{PartitionCount: 7}))
		require.Equal(t, 7, b.partitionCount(t))
		var left string
		require.NoError(t, b.pool.QueryRow(b.ctx,
			`SELECT coalesce(current_setting('eventstream.partition_count', true), '')`).Scan(&left))
		require.Empty(t, left, "the setting must not stay on the pool's connection")

		require.NoError(t, migrations.Up(b.ctx, b.pool, nil), "0 takes the store as it is")
		require.NoError(t, migrations.Up(b.ctx, b.pool, &migrations.Options{PartitionCount: 7}))
		for range 2 { // When nothing is left to do, and when something is.
			err := migrations.Up(b.ctx, b.pool, &migrations.Options{PartitionCount: 8})
			var got *migrations.StoreMismatchError
			require.ErrorAs(t, err, &got)
			require.Equal(t, migrations.StoreMismatchError{Installed: 7, Requested: 8}, *got)
			require.NoError(t, migrations.Down(b.ctx, b.pool, nil))
		}
	})

	t.Run("PartitionCountDefaults", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
		require.Equal(t, 32, b.partitionCount(t))

		require.NoError(t, migrations.DownTo(b.ctx, b.pool, 0, nil))
		set := migrationsPool(t, b.dsn, map[string]string{"eventstream.partition_count": "64"})
		require.NoError(t, migrations.Up(b.ctx, set, nil), "the session's setting is the default")
		require.Equal(t, 64, b.partitionCount(t))
	})

	t.Run("OnAConnection", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		conn, err := pgx.Connect(b.ctx, b.dsn)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.Background()) })

		require.NoError(t, migrations.Up(b.ctx, conn, &migrations.Options{PartitionCount: 3}))
		got, err := migrations.Version(b.ctx, conn)
		require.NoError(t, err)
		require.Equal(t, migrations.Latest(), got)
		require.NoError(t, migrations.DownTo(b.ctx, conn, 0, nil))
		require.NoError(t, conn.Ping(b.ctx))

		require.ErrorContains(t, migrations.Up(b.ctx, (*pgx.Conn)(nil), nil), "nil")
		require.ErrorContains(t, migrations.Up(b.ctx, (*pgxpool.Pool)(nil), nil), "nil")
	})

	t.Run("FailureNamesTheMigrationAndTheNextUpGoesOn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.exec(t, `CREATE SCHEMA eventstream`)
		b.exec(t, `CREATE TABLE eventstream.events ()`) // In the way of migration 3.

		err := migrations.Up(b.ctx, b.pool, nil)
		require.ErrorContains(t, err, "00003_events.sql up failed, the database is at version 2")
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr)
		require.Equal(t, "42P07", pgErr.Code)
		require.Equal(t, int64(2), b.version(t))

		b.exec(t, `DROP TABLE eventstream.events`)
		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	})

	t.Run("ReadOnlySessionIsRefusedUnlessNothingIsLeftToDo", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		readOnly := migrationsPool(t, b.dsn, map[string]string{"default_transaction_read_only": "on"})
		require.ErrorIs(t, migrations.Up(b.ctx, readOnly, nil), migrations.ErrReadOnly)
		require.Zero(t, b.version(t))

		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
		require.NoError(t, migrations.Up(b.ctx, readOnly, nil))
		require.ErrorIs(t, migrations.Down(b.ctx, readOnly, nil), migrations.ErrReadOnly)
	})

	t.Run("StrangersMigrationsAreLeftAlone", func(t *testing.T) {
		// Not parallel: goose's registry is global.
		b := setup(t)
		goose.AddNamedMigrationContext("00002_of_the_service.go",
			func(context.Context, *sql.Tx) error { return errors.New("not ours") }, nil)
		defer goose.ResetGlobalMigrations()
		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	})

	t.Run("SchemaPreparedForARoleThatMayNotCreateOne", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		role := "gapless_migrator_" + strings.ReplaceAll(b.pool.Config().ConnConfig.Database, "-", "_")
		quoted := pgx.Identifier{role}.Sanitize()
		b.exec(t, `CREATE ROLE `+quoted+` LOGIN`)
		t.Cleanup(func() {
			ctx := context.Background()
			_, _ = b.pool.Exec(ctx, `DROP OWNED BY `+quoted)
			_, _ = b.pool.Exec(ctx, `DROP ROLE `+quoted)
		})
		b.exec(t, `CREATE SCHEMA eventstream AUTHORIZATION `+quoted)
		asRole := migrationsPool(t, b.dsn, map[string]string{"role": role})
		require.NoError(t, migrations.Up(b.ctx, asRole, nil))
	})
}

func TestMigrationsAtOnce(t *testing.T) {
	t.Parallel()
	const callers = 20

	once := func(t *testing.T, dsn string) {
		t.Helper()
		b := &migrationsBundle{ctx: context.Background(), dsn: dsn, pool: migrationsPool(t, dsn, nil)}
		require.Equal(t, migrations.Latest(), b.version(t))
		var rows, distinct int64
		require.NoError(t, b.pool.QueryRow(b.ctx,
			`SELECT count(*), count(DISTINCT version_id) FROM eventstream.goose_db_version`).Scan(&rows, &distinct))
		require.Equal(t, migrations.Latest()+1, rows, "each migration, and goose's row 0, once")
		require.Equal(t, rows, distinct)
	}

	t.Run("TwentyGoroutines", func(t *testing.T) {
		t.Parallel()
		dsn := newDatabase(t)
		var group errgroup.Group
		for range callers {
			pool := migrationsPool(t, dsn, nil)
			group.Go(func() error { return migrations.Up(context.Background(), pool, nil) })
		}
		require.NoError(t, group.Wait())
		once(t, dsn)
	})

	t.Run("TwentyProcesses", func(t *testing.T) {
		t.Parallel()
		dsn := newDatabase(t)
		var group errgroup.Group
		for range callers {
			group.Go(func() error {
				cmd := osexec.Command(os.Args[0], "-test.run=^TestMigrationsChild$", "-test.count=1")
				cmd.Env = append(os.Environ(), "GAPLESS_TEST_MIGRATE="+dsn)
				out, err := cmd.CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		once(t, dsn)
	})

	t.Run("DifferentPartitionCounts", func(t *testing.T) {
		t.Parallel()
		dsn := newDatabase(t)
		errs := make([]error, 4)
		var group errgroup.Group
		for i := range errs {
			pool := migrationsPool(t, dsn, nil)
			group.Go(func() error {
				errs[i] = migrations.Up(context.Background(), pool, &migrations.Options{PartitionCount: i + 1})
				return nil
			})
		}
		require.NoError(t, group.Wait())
		won := 0
		for _, err := range errs {
			var mismatch *migrations.StoreMismatchError
			if err == nil {
				won++
			} else {
				require.ErrorAs(t, err, &mismatch)
			}
		}
		require.Equal(t, 1, won, "one count wins, every other caller is told")
		once(t, dsn)
	})
}

// TestMigrationsChild is one of the processes of TwentyProcesses.
func TestMigrationsChild(t *testing.T) {
	dsn := os.Getenv("GAPLESS_TEST_MIGRATE")
	require.NotEmpty(t, dsn, "runs as a child process only")
	require.NoError(t, migrations.Up(context.Background(), migrationsPool(t, dsn, nil), nil))
}

// endingContext ends when a test says so, with the error that it says: as a deadline does, but at an exact step.
type endingContext struct {
	context.Context
	done chan struct{}
	err  error
}

func (c *endingContext) Done() <-chan struct{} { return c.done }

func (c *endingContext) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Steps: a session holds the migration lock; Up waits for it; its context ends; the lock falls; Up works.
func TestMigrationsWaitEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := &migrationsBundle{ctx: ctx, dsn: newDatabase(t)}
	b.pool = migrationsPool(t, b.dsn, nil)
	holder, err := pgx.Connect(ctx, b.dsn)
	require.NoError(t, err)
	_, err = holder.Exec(ctx, `SELECT pg_advisory_lock($1)`, migrationLock)
	require.NoError(t, err)

	for _, want := range []error{context.DeadlineExceeded, context.Canceled} {
		waiting := &endingContext{Context: ctx, done: make(chan struct{}), err: want}
		ended := make(chan error, 1)
		go func() { ended <- migrations.Up(waiting, b.pool, &migrations.Options{PartitionCount: 5}) }()
		// However long it takes on a busy machine: once it asks for the lock, its time is up.
		waitFor(t, func() bool {
			return number(t, ctx, holder, `SELECT count(*) FROM pg_catalog.pg_stat_activity
				WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()`) > 0
		}, func() string { return "Up does not ask for the lock" })
		close(waiting.done)
		err = <-ended
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, "wait for the migration lock")
		require.Empty(t, b.dump(t), "nothing half done")
	}

	require.NoError(t, holder.Close(ctx))
	require.NoError(t, migrations.Up(ctx, b.pool, nil))
}

// Steps: a session creates eventstream.events and does not commit; Up stops there, in migration 3; its context ends (or its
// connection dies); the session rolls back; Up goes on from version 2.
func TestMigrationsInterruptedInTheMiddle(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	for name, interrupt := range map[string]func(t *testing.T, b *migrationsBundle, cancel func(), blocker *pgx.Conn){
		"ContextEnds": func(_ *testing.T, _ *migrationsBundle, cancel func(), _ *pgx.Conn) { cancel() },
		"ConnectionDies": func(t *testing.T, _ *migrationsBundle, _ func(), blocker *pgx.Conn) {
			_, err := blocker.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_locks
				WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = $1 AND database =
				(SELECT oid FROM pg_database WHERE datname = current_database())`, migrationLock)
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &migrationsBundle{ctx: ctx, dsn: newDatabase(t)}
			b.pool = migrationsPool(t, b.dsn, nil)
			b.exec(t, `CREATE SCHEMA eventstream`)
			blocker, err := pgx.Connect(ctx, b.dsn)
			require.NoError(t, err)
			t.Cleanup(func() { _ = blocker.Close(ctx) })
			tx, err := blocker.Begin(ctx)
			require.NoError(t, err)
			_, err = tx.Exec(ctx, `CREATE TABLE eventstream.events ()`)
			require.NoError(t, err)

			running, cancel := context.WithCancel(ctx)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- migrations.Up(running, b.pool, &migrations.Options{PartitionCount: 5}) }()
			waitUntilMigrationBlocked(t, tx)
			interrupt(t, b, cancel, blocker)
			err = <-done
			require.Error(t, err)
			if name == "ContextEnds" {
				require.ErrorIs(t, err, context.Canceled)
			}
			require.NoError(t, tx.Rollback(ctx))
			require.Equal(t, int64(2), b.version(t))
			require.NoError(t, migrations.Up(ctx, b.pool, nil))
			require.Equal(t, 5, b.partitionCount(t))
		})
	}
}

// The goose command and the functions of this package take turns on one database.
func TestMigrationsGooseCommand(t *testing.T) {
	oneGoroutine(t)
	t.Parallel()
	b := &migrationsBundle{ctx: context.Background(), dsn: newDatabase(t)}
	b.pool = migrationsPool(t, b.dsn, nil)
	goose := func(env []string, args ...string) (string, error) {
		t.Helper()
		args = append([]string{
			"tool", "-modfile=tools/go.mod", "goose", "-dir", "migrations",
			"-table", "eventstream.goose_db_version", "postgres", b.dsn,
		}, args...)
		cmd := osexec.Command("go", args...)
		root, err := filepath.Abs("..")
		require.NoError(t, err)
		cmd.Dir = root
		// Built without the databases that are not ours: minutes less.
		cmd.Env = append(append(os.Environ(), env...),
			"GOFLAGS=-tags=no_clickhouse,no_libsql,no_mssql,no_mysql,no_sqlite3,no_vertica,no_ydb")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	gooseCommand := func(env []string, args ...string) string {
		t.Helper()
		out, err := goose(env, args...)
		require.NoError(t, err, out)
		return out
	}

	b.exec(t, `CREATE SCHEMA IF NOT EXISTS eventstream`)
	gooseCommand([]string{"PGOPTIONS=-c eventstream.partition_count=64"}, "up")
	require.Equal(t, 64, b.partitionCount(t))
	byCommand := b.dump(t)
	require.Equal(t, migrations.Latest(), b.version(t))
	require.NoError(t, migrations.Up(b.ctx, b.pool, nil), "nothing left to do")

	b.exec(t, `SELECT eventstream.append('order-1', 'order.placed')`)
	refused, err := goose(nil, "down")
	require.Error(t, err)
	require.Contains(t, refused, "the store holds events")
	gooseCommand([]string{"PGOPTIONS=-c eventstream.drop_events=on"}, "down")
	require.Equal(t, migrations.Latest()-1, b.version(t))
	require.NoError(t, migrations.DownTo(b.ctx, b.pool, 0, &migrations.Options{DropEvents: true}))
	gooseCommand([]string{"PGOPTIONS=-c eventstream.partition_count=64"}, "up")
	gooseCommand(nil, "down")
	require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	require.NotContains(t, gooseCommand(nil, "status"), "Pending")

	require.NoError(t, migrations.Down(b.ctx, b.pool, nil))
	require.Contains(t, gooseCommand(nil, "version"), fmt.Sprintf("version %d", migrations.Latest()-1))
	require.Equal(t, 1, strings.Count(gooseCommand(nil, "status"), "Pending"))
	gooseCommand(nil, "reset")
	require.Zero(t, b.version(t))
	require.NoError(t, migrations.Up(b.ctx, b.pool, &migrations.Options{PartitionCount: 64}))
	require.Empty(t, cmp.Diff(byCommand, b.dump(t)))
}

// migrationsPool returns a pool of one connection with runtime parameters set.
func migrationsPool(t *testing.T, dsn string, params map[string]string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	config.MaxConns = 1
	config.MinConns = 0
	for name, value := range params {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func (b *migrationsBundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(b.ctx, sql, args...)
	require.NoError(t, err)
}

func (b *migrationsBundle) version(t *testing.T) int64 {
	t.Helper()
	v, err := migrations.Version(b.ctx, b.pool)
	require.NoError(t, err)
	return v
}

func (b *migrationsBundle) partitionCount(t *testing.T) (count int) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT partition_count FROM eventstream.store`).Scan(&count))
	return count
}

// dump is what schema eventstream holds.
func (b *migrationsBundle) dump(t *testing.T) schemadump.Files {
	t.Helper()
	files, err := schemadump.Read(b.ctx, b.pool)
	require.NoError(t, err)
	return files
}

// waitUntilMigrationBlocked returns once another session of this database waits for a lock that the session of tx holds. By pg_locks: what
// pg_stat_activity says stays as it is for the length of a transaction.
func waitUntilMigrationBlocked(t *testing.T, tx pgx.Tx) {
	t.Helper()
	require.Eventually(t, func() bool {
		var blocked bool
		err := tx.QueryRow(context.Background(), `SELECT EXISTS (
			SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))`).Scan(&blocked)
		return err == nil && blocked
	}, 30*time.Second, 10*time.Millisecond)
}
