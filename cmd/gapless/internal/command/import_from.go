package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/pflag"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/foreign"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/ndjson"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/progress"
	"github.com/gaplesspg/gapless/eventstream"
)

// importFrom imports the history of another store, after a dry run.
type importFrom struct {
	*app
	pool   *pgxpool.Pool
	repo   *eventstream.Repository
	flags  *fromFlags
	source foreign.Source
	// total is how much there is to read: rows, or bytes of a file.
	total int64
	unit  progress.Unit
	bar   *progress.Bar
	// once says that the source cannot be read again.
	once bool
}

func (a *app) importFrom(ctx context.Context, set *pflag.FlagSet, flags *fromFlags, args []string) error {
	if err := flags.check(set, args); err != nil {
		return err
	}
	return a.withStore(ctx, func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
		run := &importFrom{app: a, pool: pool, repo: repo, flags: flags}
		if err := run.open(ctx, args); err != nil {
			return err
		}
		return run.run(ctx)
	})
}

// open finds the source.
func (i *importFrom) open(ctx context.Context, args []string) error {
	if i.flags.from == fromKurrentDB {
		i.once, i.unit = args[0] == "-", progress.Bytes
		i.source = foreign.NewKurrentDB(func() (io.ReadCloser, error) { return i.file(ctx, args[0]) }, i.flags.options)
		return nil
	}
	mapping := i.flags.mapping
	switch i.flags.from {
	case fromMessageDB:
		mapping = foreign.MessageDB(mapping.Table)
	case fromMarten:
		mapping = foreign.Marten(mapping.Table)
	}
	config, err := i.sourceConfig()
	if err != nil {
		return err
	}
	table, err := foreign.OpenTable(ctx, config, mapping, i.flags.options)
	if err != nil {
		return tableError(err)
	}
	i.source, i.total = table, table.Count()
	return nil
}

// file opens an export, from its start, and shows on the bar how much of it was read.
func (i *importFrom) file(ctx context.Context, name string) (io.ReadCloser, error) {
	file, size, err := i.app.open(ctx, name)
	if err != nil {
		return nil, err
	}
	i.bar.SetTotal(size)
	events, err := ndjson.Decompress(i.bar.Reader(file), name)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return both{events, file}, nil
}

// sourceConfig is how the other store is reached.
func (i *importFrom) sourceConfig() (*pgx.ConnConfig, error) {
	config := i.pool.Config().ConnConfig
	if i.flags.dsn != "" {
		var err error
		if config, err = pgx.ParseConfig(i.flags.dsn); err != nil {
			return nil, usagef("--source-dsn: %w: give it as postgres://user@host:5432/name", err)
		}
		if config.ConnectTimeout == 0 {
			config.ConnectTimeout = connectTimeout
		}
	}
	config.RuntimeParams["application_name"] = applicationName
	return config, nil
}

// start shows how far it is. Of a file that is compressed, or comes through a pipe, it is known how much was read.
func (i *importFrom) start(name string) (seen func(n int64), end func(err error)) {
	i.bar = progress.Start(i.stderr, name, max(i.total, 1), i.unit)
	if i.unit == progress.Bytes {
		return func(int64) {}, i.bar.End
	}
	return i.bar.Set, i.bar.End
}

// tableError says that a source which is not there is the command line's fault.
func tableError(err error) error {
	if _, ok := errors.AsType[*foreign.MissingError](err); ok {
		return usageError{err}
	}
	if _, ok := errors.AsType[*foreign.MappingError](err); ok {
		return usageError{err}
	}
	return fmt.Errorf("the source: %w", err)
}

// both reads what is decompressed, and closes what it came from too.
type both struct {
	io.ReadCloser
	file io.Closer
}

// Close closes both.
func (b both) Close() error { return errors.Join(b.ReadCloser.Close(), b.file.Close()) }

// run looks first, and imports if all can be.
func (i *importFrom) run(ctx context.Context) error {
	if !i.flags.dryRun && i.yes {
		return i.take(ctx)
	}
	if i.once && !i.flags.dryRun {
		return usagef("standard input cannot be read twice: import it with --yes, or look first with --dry-run")
	}
	seen, end := i.start("dry run")
	report, err := foreign.Check(ctx, i.pool, i.source, seen)
	end(err)
	if err != nil {
		return err
	}
	if err := i.printReport(report); err != nil {
		return err
	}
	if n := report.RefusedEvents(); n > 0 {
		return fmt.Errorf("%s cannot be imported, and nothing was: see above, and docs/importing.md", counted(n, "event"))
	}
	if i.flags.dryRun {
		return nil
	}
	if err := i.confirm(ctx, "this imports %s of %s", counted(report.Events-report.There, "event"), counted(report.Streams, "stream")); err != nil {
		return err
	}
	return i.take(ctx)
}

// take imports.
func (i *importFrom) take(ctx context.Context) error {
	seen, end := i.start("import")
	result, err := i.repo.Import(ctx, i.judged(ctx, seen))
	end(err)
	if refused, ok := errors.AsType[*foreign.Refused](err); ok {
		return fmt.Errorf("%s; %w: gapless import --from %s --dry-run shows all that cannot be imported", soFar(result), refused, i.flags.from)
	}
	if refused, ok := errors.AsType[*eventstream.ImportError](err); ok {
		return fmt.Errorf("%s; %s, version %d: %w", soFar(result), refused.StreamID, refused.Version, refused.Err)
	}
	if err != nil {
		return importFailed(result, err)
	}
	return i.printImport(imported{result.Imported, result.Skipped, result.LastPosition, false})
}

// judged ends at the first event that cannot be imported, by the same rules as the dry run.
func (i *importFrom) judged(ctx context.Context, seen func(n int64)) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		n := int64(0)
		for event, err := range i.source.Events(ctx) {
			if err == nil {
				if refused := foreign.Judge(&event); refused != nil {
					err = refused
				}
			}
			if !yield(event, err) || err != nil {
				return
			}
			if n++; n%progressEvery == 0 {
				seen(n)
			}
		}
		seen(n)
	}
}
