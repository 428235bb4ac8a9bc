// Command githistory loads the history of a git repository into Gapless: every file is a stream, every commit one atomic append
// over all the files that it touches. It then shows what is there, and lets the database audit itself.
//
//	go run ./examples/githistory -repo PATH
//	KEEP=1 go run ./examples/githistory -repo PATH     leaves the database up until Ctrl-C
//	go run ./examples/githistory -repo PATH -dsn DSN   uses a database of yours; a second run changes nothing
//
// # What becomes of what
//
// The file docs/design.md is the stream "file-docs/design.md". A path that cannot be a stream id (longer than 123 bytes, not UTF-8,
// with control characters, or with white space at its end) is the stream "file-sha256:" and the hash of the path; the
// payload has the path itself. A commit that adds, changes or deletes the file is an event file.added, file.changed or
// file.deleted with commit, path, lines added and removed (null where git sees a binary file), subject and time. The names and
// mail addresses of people are not read.
//
// Event ids follow from commit and path, so an import that is repeated, or goes on after an interruption, finds what is there
// already and appends the rest. A merge is a commit without files, as for git log: what it merges was imported with the commits
// that made it. One database takes one repository (or clones of it): a stream does not say which one it came from.
//
// # Memory
//
// git's output is read as it comes, a few commits ahead of the database. What grows is a map with the version of every
// stream, about 200 bytes a path; the largest single commit has to fit too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/exampledb"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// options is what the command line and the environment ask for.
type options struct {
	// repo is a path in the repository. Default: here.
	repo string
	// dsn is a database to use. Default: one of its own, on a server that is started for it.
	dsn string
	// keep leaves the database up until Ctrl-C.
	keep bool
	// twice imports a second time, to show that it changes nothing.
	twice bool
	// shallow takes a shallow clone for the whole history.
	shallow bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the program in order, the second at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, parseOptions(), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "githistory:", printable(err.Error()))
		os.Exit(exitCode(err))
	}
}

func parseOptions() options {
	var o options
	keep := os.Getenv("KEEP")
	flag.StringVar(&o.repo, "repo", ".", "git repository, or a `path` in it")
	flag.StringVar(&o.dsn, "dsn", os.Getenv(exampledb.EnvDSN), "`database` to use, or "+exampledb.EnvDSN+"; else one is started")
	flag.BoolVar(&o.keep, "keep", keep != "" && keep != "0", "leave the database up until Ctrl-C, or KEEP=1")
	flag.BoolVar(&o.twice, "twice", false, "import a second time, which changes nothing")
	flag.BoolVar(&o.shallow, "shallow", false, "take what there is of a shallow clone")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "githistory: unexpected argument %q: the repository is given as -repo PATH\n", flag.Arg(0))
		os.Exit(2)
	}
	return o
}

// exitCode is 130 for an interruption, as shells have it.
func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return 130
	}
	return 1
}

// run does everything. The repository is looked at first: starting a server for a misspelt path would be a waste.
func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	source, err := openRepository(ctx, o.repo, o.shallow)
	if err != nil {
		return err
	}
	// Durable: the times that are printed are those of a server that keeps its promises.
	store, err := exampledb.Open(ctx, o.dsn, databaseName, pgserver.Options{Log: stderr, Durable: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Stop()) }()
	fmt.Fprintf(stderr, "database: %s\n", store.Origin)

	pool, err := pgxpool.New(ctx, store.DSN)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return err
	}
	if err := importAll(ctx, o, source, pool, stdout, stderr); err != nil {
		return err
	}
	if err := writeReport(ctx, stdout, pool); err != nil {
		return err
	}
	return hold(ctx, o, store, stdout)
}

// importAll imports once or twice, and says what each import did.
func importAll(
	ctx context.Context, o options, source *repository, pool *pgxpool.Pool, stdout, stderr io.Writer,
) error {
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}
	flushed, err := flushing(ctx, pool)
	if err != nil {
		return err
	}
	passes := 1
	if o.twice {
		passes = 2
	}
	for range passes {
		start := time.Now()
		done, err := newImporter(repo, newProgress(stderr, source.commitCount)).run(ctx, source.log)
		if err != nil {
			return stopped(err, done)
		}
		writeTotals(stdout, source.dir, done, time.Since(start), flushed)
	}
	return nil
}

// stopped says how far an import came, and that nothing is half done.
func stopped(err error, done totals) error {
	return fmt.Errorf("stopped after %d commits; each is there whole or not at all, and a further run into the same database "+
		"goes on from here: %w", done.commits, err)
}

// hold says how to look further, and keeps the database up where that is wished.
func hold(ctx context.Context, o options, store *exampledb.Database, stdout io.Writer) error {
	keep := o.keep && !store.Given
	writeHints(stdout, store, keep)
	if keep {
		<-ctx.Done()
	}
	return nil
}
