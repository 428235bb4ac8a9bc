package command

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/migrations"
)

func (a *app) migrateCommand() *cobra.Command {
	return group("migrate", "Install, upgrade or remove the schema", `Installs and upgrades schema eventstream. The migrations are those of this build of the command.

Connect to PostgreSQL itself: a pooler in transaction mode cannot hold the lock that keeps two migrations apart.`,
		a.migrateUpCommand(), a.migrateDownCommand(), a.migrateStatusCommand())
}

func (a *app) migrateUpCommand() *cobra.Command {
	var partitions int
	cmd := &cobra.Command{
		Use: "up", Short: "Install the schema, or bring it to the newest version", Args: noArgs,
		Long: `Applies the migrations that the database does not have. Any number of processes may do so at once: one migrates, the others wait.

The number of partitions is chosen at the first install for good.`,
		Example: `  gapless migrate up
  gapless migrate up --partitions 64`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("partitions") && (partitions < 1 || partitions > maxPartitions) {
				return usagef("--partitions %d: must be 1 to %d", partitions, maxPartitions)
			}
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error {
				applied := &migrated{out: a.out}
				err := migrations.Up(cmd.Context(), pool, &migrations.Options{PartitionCount: partitions, Logger: slog.New(applied)})
				return a.migratedTo(cmd.Context(), pool, applied, err)
			})
		},
	}
	cmd.Flags().IntVar(&partitions, "partitions", 0, "partitions of a new store, 1 to 32768 (default 32)")
	return cmd
}

func (a *app) migrateDownCommand() *cobra.Command {
	var to int64
	cmd := &cobra.Command{
		Use: "down", Short: "Undo the last migration, or those above a version", Args: noArgs,
		Long: `Undoes migrations. Tables that they made are dropped with all that is in them: with the first ones go all events.`,
		Example: `  gapless migrate down
  gapless migrate down --to 0 --yes`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to < -1 {
				return usagef("--to %d: must be 0 or more", to)
			}
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error { return a.migrateDown(cmd.Context(), pool, to) })
		},
	}
	cmd.Flags().Int64Var(&to, "to", -1, "version to go back to; 0 removes everything (default: the one before the last)")
	return cmd
}

func (a *app) migrateDown(ctx context.Context, pool *pgxpool.Pool, to int64) error {
	version, err := migrations.Version(ctx, pool)
	if err != nil {
		return err
	}
	if version == 0 {
		return a.migratedTo(ctx, pool, &migrated{}, nil) // there is nothing to undo
	}
	if err := a.confirm(ctx, "this undoes migrations of database %s at version %d, and drops what is in their tables",
		pool.Config().ConnConfig.Database, version); err != nil {
		return err
	}
	undone := &migrated{out: a.out}
	options := &migrations.Options{Logger: slog.New(undone)}
	if to < 0 {
		err = migrations.Down(ctx, pool, options)
	} else {
		err = migrations.DownTo(ctx, pool, to, options)
	}
	return a.migratedTo(ctx, pool, undone, err)
}

// migratedTo says at which version the database is, unless something went wrong.
func (a *app) migratedTo(ctx context.Context, pool *pgxpool.Pool, done *migrated, err error) error {
	if err != nil {
		return err
	}
	if done.err != nil {
		return done.err
	}
	version, err := migrations.Version(ctx, pool)
	if err != nil {
		return err
	}
	return a.out.Say("the database is at version %d of %d", version, migrations.Latest())
}

func (a *app) migrateStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the migrations, and which of them the database has", Args: noArgs,
		Long:    `Lists the migrations of this build and of the database. It only reads, on a standby too.`,
		Example: `  gapless migrate status --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error {
				status, err := migrations.Status(cmd.Context(), pool)
				if err != nil {
					return err
				}
				return a.printMigrations(status)
			})
		},
	}
}

// migration is a migration as --json has it.
type migration struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	Applied   bool       `json:"applied"`
	AppliedAt *time.Time `json:"applied_at"`
}

func (a *app) printMigrations(status []migrations.MigrationStatus) error {
	list := a.out.List("#VERSION", "STATE", "APPLIED AT", "NAME")
	for _, m := range status {
		row, state := migration{Version: m.Version, Name: m.Name, Applied: m.Applied}, "pending"
		if m.Applied {
			at := m.AppliedAt.UTC()
			row.AppliedAt, state = &at, "applied"
		}
		if err := list.Add(row, output.Int(m.Version), state, output.Time(m.AppliedAt), m.Name); err != nil {
			return err
		}
	}
	return list.Flush()
}

// migrated is a handler of the log of migrations that prints each.
type migrated struct {
	out *output.Printer
	err error
}

// step is a migration that was run, as --json has it.
type step struct {
	Version   int64   `json:"version"`
	Name      string  `json:"name"`
	Direction string  `json:"direction"`
	Seconds   float64 `json:"seconds"`
}

// Enabled takes everything.
func (*migrated) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs keeps nothing.
func (m *migrated) WithAttrs([]slog.Attr) slog.Handler { return m }

// WithGroup keeps nothing.
func (m *migrated) WithGroup(string) slog.Handler { return m }

// Handle prints a migration.
func (m *migrated) Handle(_ context.Context, record slog.Record) error {
	var s step
	record.Attrs(func(attr slog.Attr) bool {
		switch attr.Key {
		case "version":
			s.Version = attr.Value.Int64()
		case "name":
			s.Name = attr.Value.String()
		case "direction":
			s.Direction = attr.Value.String()
		case "duration":
			s.Seconds = attr.Value.Duration().Seconds()
		}
		return true
	})
	list := m.out.List("DIRECTION", "NAME")
	if m.out.JSON || !m.out.Table {
		m.err = list.Add(s, s.Direction, s.Name)
	} else {
		m.err = m.out.Say("%s  %s", s.Direction, s.Name)
	}
	return m.err
}
