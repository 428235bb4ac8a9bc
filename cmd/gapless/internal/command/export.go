package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/ndjson"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/progress"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// writeBuffer is how much an export gathers before it writes.
	writeBuffer = 256 << 10
	// progressEvery is how many events lie between two looks at a bar.
	progressEvery = 256
)

// exportFlags select what is exported.
type exportFlags struct {
	filter    logFilterFlags
	recorded  bool
	overwrite bool
}

func (a *app) exportCommand() *cobra.Command {
	var flags exportFlags
	cmd := &cobra.Command{
		Use: "export [FILE|-]", Short: "Write all events as NDJSON, an event a line", Args: needs(0, 1),
		Long: `Writes the events of all streams in the order of the log, an event a line, as docs/command.md describes; a name that ends in .gz or .zst is
compressed. Without FILE, or with -, it writes to standard output.

It goes up to the stable position of the moment it begins, holds no transaction, and needs little memory. FILE appears when it is complete: whatever
ends the export before leaves nothing. Filters select whole streams, so that an import finds no hole. Events that wait for versions before them
are no part of the log, and are left out; how many is said on standard error.`,
		Example: `  gapless export store.ndjson.zst
  gapless export --category order --tenant acme orders.ndjson
  gapless export --dsn "$OLD" | gapless import --dsn "$NEW" -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			filter, err := flags.filter.filter()
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				e := &export{app: a, pool: pool, repo: repo, filter: filter, recorded: flags.recorded}
				return e.run(cmd.Context(), name, flags.overwrite)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.filter.tenant, "tenant", "", "streams of this tenant")
	f.StringVar(&flags.filter.category, "category", "", "streams of this category: order for order-1")
	f.StringSliceVar(&flags.filter.partitions, "partition", nil, "streams of this partition; may be repeated")
	f.BoolVar(&flags.recorded, "recorded", false, "tell position and time of recording too, which an import gives anew")
	f.BoolVar(&flags.overwrite, "overwrite", false, "replace FILE if it is there")
	return cmd
}

// export is one run of the command.
type export struct {
	*app
	pool     *pgxpool.Pool
	repo     *eventstream.Repository
	filter   eventstream.LogFilter
	recorded bool
	events   int64
}

func (e *export) run(ctx context.Context, name string, overwrite bool) error {
	waiting, err := countWaiting(ctx, e.pool)
	if err != nil {
		return err
	}
	if name == "-" {
		err = e.write(ctx, e.stdout, name)
	} else {
		err = e.toFile(ctx, name, overwrite)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "exported %s\n", counted(e.events, "event"))
	if waiting > 0 {
		fmt.Fprintf(e.stderr, "left out %s that wait for versions before them: gapless pending list\n", counted(waiting, "event"))
	}
	return nil
}

// countWaiting counts the events that are in no stream yet.
func countWaiting(ctx context.Context, pool *pgxpool.Pool) (n int64, err error) {
	err = pool.QueryRow(ctx, `SELECT count(*) FROM eventstream.pending_events`).Scan(&n)
	return n, err
}

// toFile writes beside the file, and gives it its name once it is whole.
func (e *export) toFile(ctx context.Context, name string, overwrite bool) (err error) {
	if _, err := os.Lstat(name); err == nil && !overwrite {
		return usagef("%s is there already: choose another name, or add --overwrite", name)
	}
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part")
	if err != nil {
		return usageError{err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(file.Close()), os.Remove(file.Name()))
		}
	}()
	if err := e.write(ctx, file, name); err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// write writes the events to a place whose name says how they are compressed.
func (e *export) write(ctx context.Context, to io.Writer, name string) error {
	buffer := bufio.NewWriterSize(to, writeBuffer)
	out, err := ndjson.Compress(buffer, name)
	if err != nil {
		return err
	}
	if err := e.writeEvents(ctx, out); err != nil {
		return err
	}
	return errors.Join(out.Close(), buffer.Flush())
}

func (e *export) writeEvents(ctx context.Context, out io.Writer) (err error) {
	head, err := e.repo.LogHead(ctx)
	if err != nil {
		return err
	}
	format := ndjson.Format{Recorded: e.recorded}
	if format.Partitions, err = partitionCount(ctx, e.pool); err != nil {
		return err
	}
	bar := progress.Start(e.stderr, "export", head.Sequence, progress.Events)
	defer func() { bar.End(err) }()
	writer := ndjson.NewWriter(out, format)
	for event, err := range e.repo.ReadLog(ctx, eventstream.LogOptions{Filter: e.filter}) {
		if err != nil {
			return err
		}
		if err := writer.Write(event.Event); err != nil {
			return err
		}
		if e.events++; e.events%progressEvery == 0 {
			bar.Set(event.Sequence)
		}
	}
	bar.Set(head.Sequence)
	return nil
}

// partitionCount is how many partitions the store has.
func partitionCount(ctx context.Context, pool *pgxpool.Pool) (n int, err error) {
	err = pool.QueryRow(ctx, `SELECT eventstream.partition_count()`).Scan(&n)
	return n, err
}
