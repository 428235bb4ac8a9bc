package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/ndjson"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/progress"
	"github.com/gaplesspg/gapless/eventstream"
)

func (a *app) importCommand() *cobra.Command {
	var flags fromFlags
	cmd := &cobra.Command{
		Use: "import [FILE|-]", Short: "Take the events of an export, or of another store, into the store", Args: needs(0, 1),
		Long: `Reads events as gapless export writes them, an event a line, and takes them into the store with their ids, versions, times, tenants,
partitions and bytes. Input that is compressed by gzip or zstd is decompressed. - reads standard input.

Events are written in chunks of 10,000, each of which commits on its own. Whatever ends an import - Ctrl-C, a lost connection, a line that is no
event - leaves the chunks before it: import the same file again, and it goes on where it was, since what is there is skipped. Positions and times of
recording are this store's.

--from takes the history of another store: the tables of message-db or Marten, an export of KurrentDB as an event a line, or any table, whose columns
are given. It first reads all of it and shows what would be imported and what cannot be, and asks; --dry-run does that alone, and its exit code is 1 if
there is an event that cannot be imported; --yes imports at once. docs/importing.md says what becomes of names, numbers and ids.`,
		Example: `  gapless import store.ndjson.zst
  gapless import --dry-run store.ndjson
  zcat old.ndjson.gz | gapless import - --json
  gapless import --from message-db --source-dsn "$OLD" --dry-run
  gapless import --from kurrentdb-ndjson all.ndjson.zst
  gapless import --from table --source-table shop.events --stream-column order_no --version-column nr \
      --type-column kind --payload-column body --time-column at`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("from") {
				return a.importFrom(cmd.Context(), cmd.Flags(), &flags, args)
			}
			if err := onlyWithFrom(cmd.Flags()); err != nil {
				return err
			}
			if len(args) == 0 {
				return usagef("import needs a file, - for standard input, or --from for the history of another store")
			}
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				return a.importFile(cmd.Context(), pool, repo, args[0], flags.dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "read everything and write nothing; of a file, whether the store takes it is not asked")
	flags.add(cmd.Flags())
	return cmd
}

// imported is an import as --json has it.
type imported struct {
	Imported     int64 `json:"imported"`
	Skipped      int64 `json:"skipped"`
	LastPosition int64 `json:"last_position"`
	DryRun       bool  `json:"dry_run"`
}

func (a *app) importFile(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository, name string, dryRun bool) (err error) {
	file, size, err := a.open(ctx, name)
	if err != nil {
		return err
	}
	defer file.Close()
	partitions, err := partitionCount(ctx, pool)
	if err != nil {
		return err
	}
	bar := progress.Start(a.stderr, "import", size, progress.Bytes)
	events, err := ndjson.Decompress(bar.Reader(file), name)
	if err != nil {
		bar.End(err)
		return err
	}
	defer events.Close()
	var result eventstream.ImportResult
	if dryRun {
		result.Imported, err = count(ctx, ndjson.Read(events, partitions))
	} else {
		result, err = repo.Import(ctx, ndjson.Read(events, partitions), eventstream.KeepPartitions)
	}
	bar.End(err)
	if err != nil {
		return importFailed(result, err)
	}
	return a.printImport(imported{result.Imported, result.Skipped, result.LastPosition, dryRun})
}

// open opens a file or standard input, and says how large it is; 0 if that is not known.
func (a *app) open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		if output.IsTerminal(a.in) {
			return nil, 0, usagef("import - reads standard input, which is a terminal: send a file into it")
		}
		return io.NopCloser(a.input(ctx)), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, usageError{err}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	if info.IsDir() {
		return nil, 0, errors.Join(usagef("%s is a directory: name a file", name), file.Close())
	}
	return file, info.Size(), nil
}

func count(ctx context.Context, events iter.Seq2[eventstream.Event, error]) (n int64, err error) {
	for _, err := range events {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// noCopy is the SQLSTATE of a COPY by somebody whom row security holds; PostgreSQL's own hint is to write without it.
const noCopy = "0A000"

// importFailed says what is there all the same, and at which line the store stopped.
func importFailed(result eventstream.ImportResult, err error) error {
	so := soFar(result)
	if errors.Is(err, context.Canceled) {
		return stopped("%s; import the same again, which goes on from there", so)
	}
	if refused, ok := errors.AsType[*eventstream.ImportError](err); ok {
		return fmt.Errorf("%s; line %d: %w", so, refused.Index+1, refused.Err)
	}
	if bad, ok := errors.AsType[*ndjson.LineError](err); ok {
		return fmt.Errorf("%s; %w", so, bad)
	}
	if broken, ok := errors.AsType[*ndjson.TruncatedError](err); ok {
		return fmt.Errorf("%s; %w", so, broken)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == noCopy {
		return fmt.Errorf("%s: %w: connect as the owner of the tables, or as a role with BYPASSRLS, as docs/operations-roles.md has it", so, err)
	}
	return fmt.Errorf("%s: %w", so, err)
}

// soFar says how far an import came.
func soFar(result eventstream.ImportResult) string {
	return fmt.Sprintf("%s imported, %d were there", counted(result.Imported, "event"), result.Skipped)
}

func (a *app) printImport(row imported) error {
	if row.DryRun {
		if a.out.JSON {
			return a.out.Record(row)
		}
		return a.out.Say("%s can be read; nothing was written", counted(row.Imported, "event"))
	}
	return a.out.Record(row, [2]string{"imported", output.Int(row.Imported)}, [2]string{"skipped", output.Int(row.Skipped)},
		[2]string{"last position", output.Int(row.LastPosition)})
}
