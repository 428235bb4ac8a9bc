// Command bench measures Gapless against plain PostgreSQL doing the same in the same run, on the same server, with fsync on.
//
//	make bench OUT=results.json
//	go run ./bench -only append1-existing,hot-any -callers 1,16 -rounds 3
//	go run ./bench cpu -states installed -rounds 3 -calls 200
//	go run ./bench log -only catchup
//	go run ./bench streams -docs docs
//
// Without the name of a command it is throughput. A command has flags of its own, which -h lists, and these:
//
//	-out file        write the results as JSON
//	-docs directory  write tables and chart to the command's part of benchmarks.md, and to benchmarks.svg
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

	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the program in order, the second at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run does everything. What is written at the end is opened first: to find after minutes that it cannot be would be a waste.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) (err error) {
	i, err := parse(arguments, stderr)
	if err != nil {
		return err
	}
	page, err := report.OpenPage(i.docs, i.mark())
	if err != nil {
		return err
	}
	out := io.Discard
	if i.out != "" {
		file, failed := os.Create(i.out)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	machine := report.Machine{Before: report.Load()}
	if warning := machine.Warning(); warning != "" {
		fmt.Fprintln(stderr, warning)
	}
	return database.With(ctx, stderr, func(ctx context.Context, d *database.Databases) error {
		fmt.Fprintln(stdout, "server:", d.Origin)
		var err error
		if machine.Settings, err = d.Settings(ctx); err != nil {
			return err
		}
		r, err := i.command.Run(ctx, d, stderr)
		if err != nil {
			return err
		}
		machine.After = report.Load()
		return errors.Join(r.WriteText(stdout, machine), r.WriteJSON(out), page.Write(r, machine))
	})
}
