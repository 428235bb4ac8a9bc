package migrations

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

//go:embed *.sql
var files embed.FS

// versionTable is where goose records what was applied; the goose command is told the same name.
const versionTable = "eventstream.goose_db_version"

// Conn is what migrations run on: a *pgxpool.Pool, of which one connection is borrowed, or a *pgx.Conn, beside which a second
// connection with the same configuration is opened for the time of the call. (What was SET by hand on a *pgx.Conn therefore does
// not count for its migrations; runtime parameters of its configuration do.)
type Conn interface {
	*pgxpool.Pool | *pgx.Conn
}

// Up brings the database to the version of this release, and installs it where there is nothing yet. Any number of processes may
// call it at once: one migrates while the others wait, as long as ctx allows. Where nothing is left to do, it only reads. A database
// that a newer release has migrated is left as it is, if that release says that this one can use it.
//
// Errors: [DatabaseNewerError], [StoreMismatchError], [ErrReadOnly], the error of ctx, or a PostgreSQL error with the name of the
// migration that failed; the migrations before that one stay applied, and calling Up again goes on from there.
func Up[C Conn](ctx context.Context, db C, opts *Options) error {
	return up(ctx, db, opts, files)
}

// Down undoes the latest migration; at version 0 it does nothing. On a store that holds events it returns [ErrHoldsEvents], unless
// Options.DropEvents is set.
func Down[C Conn](ctx context.Context, db C, opts *Options) error {
	return down(ctx, db, opts, files, func(ctx context.Context, p *goose.Provider) ([]*goose.MigrationResult, error) {
		result, err := p.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return []*goose.MigrationResult{result}, nil
	})
}

// DownTo undoes every migration above version; at or below that version it does nothing. DownTo 0 leaves an empty schema
// eventstream with the version table in it, and [Up] works again from there. Like Down, it refuses to go back on a store that holds events.
func DownTo[C Conn](ctx context.Context, db C, version int64, opts *Options) error {
	if version < 0 {
		return fmt.Errorf("migrations: DownTo version is %d: must be 0 or above", version)
	}
	return down(ctx, db, opts, files, func(ctx context.Context, p *goose.Provider) ([]*goose.MigrationResult, error) {
		return p.DownTo(ctx, version)
	})
}

// Latest is the version that [Up] brings a database to.
func Latest() int64 {
	// The embedded files are named well: a test holds that.
	sources, _ := list(files)
	return latest(sources)
}

// source is one migration file.
type source struct {
	version int64
	name    string
}

// list returns the migration files in order of version.
func list(fsys fs.FS) ([]source, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, err
	}
	sources := make([]source, 0, len(names))
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("migrations: %s: %w", name, err)
		}
		sources = append(sources, source{version: version, name: name})
	}
	slices.SortFunc(sources, func(a, b source) int { return cmp.Compare(a.version, b.version) })
	return sources, nil
}

func latest(sources []source) int64 {
	if len(sources) == 0 {
		return 0
	}
	return sources[len(sources)-1].version
}

func up(ctx context.Context, db any, opts *Options, fsys fs.FS) error {
	o, err := opts.withDefaults()
	if err != nil {
		return err
	}
	sources, err := list(fsys)
	if err != nil {
		return err
	}
	// Without the lock first: most calls find nothing to do, and must not queue for that.
	st, err := readState(ctx, db)
	if err != nil {
		return err
	}
	check := func(st *state) error { return st.check(sources, o) }
	if err := check(&st); err != nil || st.complete(sources) {
		return err
	}
	return withSession(ctx, db, func(s *session) error {
		if err := s.prepare(ctx, check, o); err != nil {
			return err
		}
		defer s.unprepare(o)
		return s.run(ctx, fsys, o, func(ctx context.Context, p *goose.Provider) ([]*goose.MigrationResult, error) {
			return p.Up(ctx)
		})
	})
}

type gooseFunc func(context.Context, *goose.Provider) ([]*goose.MigrationResult, error)

func down(ctx context.Context, db any, opts *Options, fsys fs.FS, run gooseFunc) error {
	o, err := opts.withDefaults()
	if err != nil {
		return err
	}
	o.PartitionCount = 0 // Nothing is installed on the way down.
	sources, err := list(fsys)
	if err != nil {
		return err
	}
	st, err := readState(ctx, db)
	if err != nil || st.version == 0 {
		return err
	}
	check := func(st *state) error { return st.checkDown(sources) }
	return withSession(ctx, db, func(s *session) error {
		if err := s.prepare(ctx, check, o); err != nil {
			return err
		}
		defer s.unprepare(o)
		if err := s.refuseToDropEvents(ctx); err != nil {
			return err
		}
		return s.run(ctx, fsys, o, run)
	})
}

// run runs goose on the session's connection and logs what it did.
func (s *session) run(ctx context.Context, fsys fs.FS, o Options, do gooseFunc) error {
	provider, err := goose.NewProvider(goose.DialectPostgres, s.db, fsys,
		goose.WithTableName(versionTable),
		// The service's own goose migrations, written in Go, register themselves globally: they are not ours.
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	results, err := do(ctx, provider)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	for _, r := range results {
		o.Logger.InfoContext(ctx, "gapless: migrated", "version", r.Source.Version, "name", path.Base(r.Source.Path),
			"direction", r.Direction, "duration", r.Duration)
	}
	if err != nil {
		return describe(err, s.before)
	}
	return nil
}
