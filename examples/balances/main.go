// Command balances keeps the balances of accounts as a projection, exactly once, while the processes that feed it are killed.
//
//	go run ./examples/balances
//	go run ./examples/balances -accounts 1000 -operations 50000 -writers 16 -processes 4 -kills 20
//	go run ./examples/balances -dsn DSN   uses a database of yours; a second run goes on with the accounts of the first
//
// # What it does
//
// Every account is a stream: account.opened, account.deposited, account.withdrawn and account.transferred. Writers deposit,
// withdraw and transfer at random; a transfer is one atomic append to two accounts. None may be overdrawn, so a writer loads the
// account, decides, and appends at the version that it has seen.
//
// Meanwhile several processes (this program, started again) run one projection: a table with a row an account, to which each event
// adds its amount. An event that is left out, or added twice, makes the balance wrong for good. The program kills these processes
// with SIGKILL, every second one in the middle of a batch: after it has written the balances and before it commits. A new
// process takes the place of each.
//
// In the end it counts anew, from the events: in SQL, and in Go from every stream as it is reconstructed. If a balance differs
// by a cent, it says which, and exits with 1.
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

// levelTakes is how long the projection may take to come level with the log, once all is written.
const levelTakes = 2 * time.Minute

// options is what the command line asks for.
type options struct {
	// dsn is a database to use. Default: one of its own, on a server that is started for it.
	dsn string
	// accounts, operations and writers say how much is written, and by how many at once.
	accounts, operations, writers int
	// processes run the projection at a time; kills is how many of them are killed on the way.
	processes, kills int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the program in order, the second at once.
	context.AfterFunc(ctx, stop)
	err := start(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "balances:", err)
		os.Exit(exitCode(err))
	}
}

// start does the work of a process that feeds the projection if it was started as one, else that of the program.
func start(ctx context.Context) error {
	if dsn, feeds := os.LookupEnv(envFeed); feeds {
		return feed(ctx, dsn, os.Stdin)
	}
	return run(ctx, parseOptions(), os.Stdout, os.Stderr)
}

func parseOptions() options {
	var o options
	flag.StringVar(&o.dsn, "dsn", os.Getenv(exampledb.EnvDSN), "`database` to use, or "+exampledb.EnvDSN+"; else one is started")
	flag.IntVar(&o.accounts, "accounts", 100, "number of accounts, 2 or more")
	flag.IntVar(&o.operations, "operations", 4000, "number of deposits, withdrawals and transfers")
	flag.IntVar(&o.writers, "writers", 8, "number of writers at once")
	flag.IntVar(&o.processes, "processes", 3, "number of processes that run the projection at once")
	flag.IntVar(&o.kills, "kills", 5, "how many of these are killed on the way")
	flag.Parse()
	return o
}

func (o options) validate() error {
	if o.accounts < 2 || o.operations < 1 || o.writers < 1 || o.processes < 1 || o.kills < 0 || flag.NArg() > 0 {
		return errors.New("want -accounts of 2 or more, -operations, -writers and -processes of 1 or more, -kills of 0 or more, " +
			"and no other arguments")
	}
	return nil
}

// exitCode is 130 for an interruption, as shells have it.
func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return 130
	}
	return 1
}

// run does everything, on a database that is given or made for it.
func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	// Not durable: the server itself is not killed here, so it need not wait for its disk.
	store, err := exampledb.Open(ctx, o.dsn, databaseName, pgserver.Options{Log: stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Stop()) }()
	fmt.Fprintf(stderr, "database: %s\n", store.Origin)

	pool, err := newPool(ctx, store.DSN, o.writers+1, "balances")
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return err
	}
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}
	if err := play(ctx, o, store.DSN, pool, repo, stdout, stderr); err != nil {
		return err
	}
	return writeReport(ctx, stdout, pool, repo)
}

// play writes, projects and kills, and returns when the projection holds all that was written.
func play(
	ctx context.Context, o options, dsn string, pool *pgxpool.Pool, repo *eventstream.Repository, stdout, stderr io.Writer,
) (err error) {
	projector, err := newProjector(repo, nil)
	if err != nil {
		return err
	}
	feeders, err := startFeeders(dsn, o.processes, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, feeders.stop()) }()

	killing, cancel := context.WithCancel(ctx)
	defer cancel()
	killed := make(chan error, 1)
	go func() { killed <- feeders.killSome(killing, pool, o) }()
	written, err := write(ctx, o, repo)
	if err != nil {
		cancel()
		if other := <-killed; !errors.Is(other, context.Canceled) {
			err = errors.Join(err, other)
		}
		return err
	}
	fmt.Fprintf(stdout, "\nWritten by %d writers: %d events in %d operations on %d accounts; %d times somebody else was first.\n",
		o.writers, written.events, o.operations, o.accounts, written.conflicts)
	if err := <-killed; err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Projected by %d processes at a time, of which %d were killed: %d in the middle of a batch.\n",
		o.processes, o.kills, feeders.midBatch)
	waiting, cancel := context.WithTimeout(ctx, levelTakes)
	defer cancel()
	if err := projector.WaitFor(waiting, written.lastPosition); err != nil {
		return fmt.Errorf("waiting until the projection holds what was written: %w", err)
	}
	return nil
}

// newPool opens a pool for a number of users at once, under a name that the database shows to whoever watches.
func newPool(ctx context.Context, dsn string, users int, name string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(max(users, 4))
	config.ConnConfig.RuntimeParams["application_name"] = name
	return pgxpool.NewWithConfig(ctx, config)
}
