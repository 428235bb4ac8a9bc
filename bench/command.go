package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/gaplesspg/gapless/bench/internal/cpu"
	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/listing"
	"github.com/gaplesspg/gapless/bench/internal/reading"
	"github.com/gaplesspg/gapless/bench/internal/report"
	"github.com/gaplesspg/gapless/bench/internal/throughput"
)

// command is something that the program measures.
type command interface {
	// Flags defines what its command line may say.
	Flags(*flag.FlagSet)
	// Validate refuses what cannot be measured, before a server is started.
	Validate() error
	// Run measures, and tells the log how far it is.
	Run(ctx context.Context, d *database.Databases, log io.Writer) (report.Report, error)
}

// named is a command, as the usage lists it.
type named struct {
	name, about string
	command     command
}

// commands gives them all; the first needs no name.
func commands() []named {
	return []named{
		{"throughput", "events per second of what applications do, and bytes on disk", throughput.Defaults()},
		{"cpu", "server CPU of single calls", cpu.Defaults()},
		{"log", "catch-up, latency and idle cost of subscriptions", reading.Defaults()},
		{"streams", "listings and counts of many streams, with their plans", listing.Defaults()},
	}
}

// invocation is what the command line asks for.
type invocation struct {
	named
	// out is the file for the results as JSON. Default: none.
	out string
	// docs is the directory of benchmarks.md and benchmarks.svg, which get the results. Default: none.
	docs string
}

// mark names the command's part of the page.
func (i invocation) mark() string {
	if i.name == commands()[0].name {
		return ""
	}
	return i.name
}

// parse reads the command line, and refuses one that cannot be measured.
func parse(arguments []string, usage io.Writer) (invocation, error) {
	i := invocation{named: commands()[0]}
	if len(arguments) > 0 && !strings.HasPrefix(arguments[0], "-") {
		found, err := find(arguments[0])
		if err != nil {
			return i, err
		}
		i.named, arguments = found, arguments[1:]
	}
	f := flag.NewFlagSet("bench "+i.name, flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&i.out, "out", "", "write the results as JSON to this `file`")
	f.StringVar(&i.docs, "docs", "", "write tables and chart to benchmarks.md and benchmarks.svg in this `directory`")
	i.command.Flags(f)
	f.Usage = func() {
		fmt.Fprint(usage, "usage: bench [command] [flags]\n\ncommands:\n")
		for _, c := range commands() {
			fmt.Fprintf(usage, "  %-12s %s\n", c.name, c.about)
		}
		fmt.Fprintf(usage, "\nflags of %s:\n", i.name)
		f.PrintDefaults()
	}
	if err := f.Parse(arguments); err != nil {
		return i, err
	}
	if f.NArg() > 0 {
		return i, fmt.Errorf("%q: after the command there are only flags", f.Arg(0))
	}
	return i, i.command.Validate()
}

func find(name string) (named, error) {
	var names []string
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	return named{}, fmt.Errorf("%q: there is no such command; there are %s", name, strings.Join(names, ", "))
}
