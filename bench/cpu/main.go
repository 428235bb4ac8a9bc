// Command cpu measures what Gapless costs the server: microseconds of CPU time per event, against a bare INSERT of the same rows
// in the same run.
//
//	go run ./bench/cpu -out results.json
//
// # What is measured
//
// CPU time of the backend that serves the connection, as Linux accounts for it (/proc/self/schedstat, read by SQL on that
// connection). Unlike the time on the clock it does not count waiting, whether for a CPU, a disk or the client. It leaves out what
// happens elsewhere: the client, and what other processes of the server write.
//
// Caches that other processes empty, and a hypervisor that takes the CPU away, do count. On a machine with more to run than it has
// CPUs, single calls come out several times dearer, and the spread says so: look at it before a ratio.
//
// The bare table has the columns of eventstream.events, the key (stream_id, version) and the unique event_id, and no rule: what anyone
// would have to write for an event store. Cases are compared with the bare INSERT of the same shape: as many events, on as many
// streams.
//
// # States
//
//   - installed: right after install. The session has cached its plans while the tables were empty, then a few thousand streams were
//     created, and nothing was ever analyzed.
//   - grown: the same session and the same plans, with -streams streams, still not analyzed.
//   - analyzed: after VACUUM (ANALYZE), which makes the session plan again.
//
// Each is measured in autocommit, commit included, and inside one transaction a sample. Every round runs all cases in turn; what is
// shown are medians over the rounds, ratios of a round being taken before the median. The spread is that of the
// microseconds: (highest - lowest) / median.
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

// options is what the command line asks for.
type options struct {
	// out is the file for the results as JSON. Default: none.
	out string
	// streams is how many streams the store has in the states grown and analyzed.
	streams int
	// rounds is how often each case is measured.
	rounds int
	// calls is how many calls of a single event make a sample; of a batch it is a twenty-fifth.
	calls int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the program in order, the second at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, parseOptions(), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseOptions() options {
	var o options
	flag.StringVar(&o.out, "out", "", "write the results as JSON to this `file`")
	flag.IntVar(&o.streams, "streams", 200_000, "streams of the grown store, at least 100")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each case is measured")
	flag.IntVar(&o.calls, "calls", 1000, "calls of a single event in a sample")
	flag.Parse()
	return o
}

func (o options) validate() error {
	if o.streams < batchSize {
		return fmt.Errorf("-streams %d: at least %d are needed, the streams of one batch", o.streams, batchSize)
	}
	if o.rounds < 1 || o.calls < 1 {
		return fmt.Errorf("-rounds %d -calls %d: both must be at least 1", o.rounds, o.calls)
	}
	return nil
}

// run does everything. The file is opened first: to find after minutes that it cannot be written would be a waste.
func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if err := o.validate(); err != nil {
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
	results, err := measureOn(ctx, server, o, stderr)
	if err != nil {
		return err
	}
	return errors.Join(writeTable(stdout, results), writeJSON(out, results))
}

// measureOn measures in a database of its own, which goes at the end.
func measureOn(ctx context.Context, server *pgserver.Server, o options, log io.Writer) (results []result, err error) {
	conn, drop, err := openDatabase(ctx, server)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	return newBenchmark(conn, o, log).run(ctx)
}
