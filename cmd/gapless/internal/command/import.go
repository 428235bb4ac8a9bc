package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/ndjson"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/progress"
	"github.com/gaplesspg/gapless/eventstream"
)

func (a *app) importCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "import FILE|-", Short: "Take the events of an export into the store", Args: needs(1, 1),
		Long: `Reads events as gapless export writes them, an event a line, and takes them into the store with their ids, versions, times, tenants,
partitions and bytes. Input that is compressed by gzip or zstd is decompressed. - reads standard input.

Events are written in chunks of 10,000, each of which commits on its own. Whatever ends an import - Ctrl-C, a lost connection, a line that is no
event - leaves the chunks before it: import the same file again, and it goes on where it was, since what is there is skipped. Positions and times of
recording are this store's.`,
		Example: `  gapless import store.ndjson.zst
  gapless import --dry-run store.ndjson
  zcat old.ndjson.gz | gapless import - --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				return a.importFile(cmd.Context(), pool, repo, args[0], dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "read every line and write nothing; whether the store takes them is not asked")
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

// importFailed says what is there all the same, and at which line the store stopped.
func importFailed(result eventstream.ImportResult, err error) error {
	so := fmt.Sprintf("%d events imported, %d were there", result.Imported, result.Skipped)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s; import the same again, which goes on from there: %w", so, context.Canceled)
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
	return fmt.Errorf("%s: %w", so, err)
}

func (a *app) printImport(row imported) error {
	if row.DryRun {
		if a.out.JSON {
			return a.out.Record(row)
		}
		return a.out.Say("%d events can be read; nothing was written", row.Imported)
	}
	return a.out.Record(row, [2]string{"imported", output.Int(row.Imported)}, [2]string{"skipped", output.Int(row.Skipped)},
		[2]string{"last position", output.Int(row.LastPosition)})
}
