// Command bank moves money between accounts by decisions over two streams, while the processes that do it are killed.
//
//	go run ./examples/bank
//	go run ./examples/bank -accounts 100 -customers 64 -orders 20000 -tellers 6 -kills 20
//	go run ./examples/bank -dsn DSN   uses a database of yours; a second run goes on with the accounts of the first
//
// README.md says what it shows.
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
const levelTakes = time.Minute

// options is what the command line asks for.
type options struct {
	// dsn is a database to use. Default: one of its own, on a server that is started for it.
	dsn string
	// accounts are opened with deposit cents each.
	accounts int
	deposit  int64
	// orders are given by customers at once, to tellers, of whom kills are killed on the way.
	orders, customers, tellers, kills int
	// most ends the trade before all orders are given, once all kills are made. Default: no end.
	most time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the program in order, the second at once.
	context.AfterFunc(ctx, stop)
	err := start(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
}

// start does the work of a teller if the process was started as one, else that of the program.
func start(ctx context.Context) error {
	if dsn, tells := os.LookupEnv(envTeller); tells {
		return teller(ctx, dsn, os.Stdin, os.Stdout)
	}
	return run(ctx, parseOptions(), os.Stdout, os.Stderr)
}

func parseOptions() options {
	o := options{deposit: 100_00}
	flag.StringVar(&o.dsn, "dsn", os.Getenv(exampledb.EnvDSN), "`database` to use, or "+exampledb.EnvDSN+"; else one is started")
	flag.IntVar(&o.accounts, "accounts", 16, "number of accounts, 2 or more")
	flag.IntVar(&o.orders, "orders", 4000, "number of transfers and looks at balances")
	flag.IntVar(&o.customers, "customers", 32, "number of customers at once")
	flag.IntVar(&o.tellers, "tellers", 4, "number of processes that serve them")
	flag.IntVar(&o.kills, "kills", 8, "how many of these are killed on the way")
	flag.Parse()
	return o
}

func (o options) validate() error {
	if o.accounts < 2 || o.orders < 1 || o.customers < 1 || o.tellers < 1 || o.kills < 0 || flag.NArg() > 0 {
		return errors.New("want -accounts of 2 or more, -orders, -customers and -tellers of 1 or more, -kills of 0 or more, " +
			"and no other arguments")
	}
	return nil
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
	o.dsn = store.DSN

	pool, err := newPool(ctx, store.DSN, 4, "bank")
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
	if _, err := play(ctx, o, repo, stdout); err != nil {
		return err
	}
	return writeReport(ctx, stdout, pool, repo)
}

// play opens the accounts, trades, and returns what happened once the projection holds all of it.
func play(ctx context.Context, o options, repo *eventstream.Repository, stdout io.Writer) (history []operation, err error) {
	for n := range o.accounts {
		_, err := accounts().Handle(ctx, repo, accountID(n), open{o.deposit})
		if err != nil && !errors.Is(err, errOpen) { // of an earlier run
			return nil, err
		}
	}
	projector, err := newProjector(repo)
	if err != nil {
		return nil, err
	}
	tellers, err := openCounter(o.dsn, o.tellers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tellers.close()) }()
	if history, err = trade(ctx, o, tellers); err != nil {
		return nil, err
	}
	writeHistory(stdout, o, history, tellers.kills)
	head, err := repo.LogHead(ctx)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, levelTakes)
	defer cancel()
	if err := projector.WaitFor(waiting, head.Position); err != nil {
		return nil, fmt.Errorf("waiting until the projection holds what was written: %w", err)
	}
	return history, nil
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
