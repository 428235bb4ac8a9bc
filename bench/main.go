// Command bench measures what an application gets: events per second of Gapless against plain PostgreSQL doing the same in the same run, on
// the same server, with fsync on.
//
//	make bench OUT=results.json
//	go run ./bench -only append1-existing,hot-any -callers 1,16 -rounds 3
//	go run ./bench -docs docs
//
// # How
//
// A case is a thing that applications do, with a number of callers who do it at once, each a goroutine that calls again and again until
// the sample's time is up. A round takes one sample of each side, and the side that comes first changes from round to round. The ratio is
// that of a round, before the median over the rounds is taken: what slows a whole round down cancels out. The spread is (highest - lowest) /
// median. Both sides have a pool of as many connections as there are callers and four more, and a sample for warming up that does not count.
//
// A case has a database of its own for each number of callers. After the samples, what the tables hold is compared with what was
// acknowledged, so that a case that does nothing fails.
//
// Client and server share the CPUs, as the time on the clock is what is compared. Commands bench/cpu and bench/log measure more closely: server
// CPU of single calls, and the latency of subscriptions.
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

	"github.com/gaplesspg/gapless/internal/pgserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the program in order, the second at once.
	context.AfterFunc(ctx, stop)
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if err == nil {
		err = run(ctx, o, os.Stdout, os.Stderr)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run does everything. What is written at the end is opened first: to find after minutes that it cannot be would be a waste.
func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	page, err := openPage(o.docs)
	if err != nil {
		return err
	}
	out := io.Discard
	if o.out != "" {
		file, failed := os.Create(o.out)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	server, err := pgserver.Start(ctx, serverOptions(stderr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()

	fmt.Fprintln(stdout, "server:", server.Origin)
	r, err := measureOn(ctx, server, o, stderr)
	if err != nil {
		return err
	}
	return errors.Join(r.writeText(stdout), r.writeJSON(out), page.write(r))
}
