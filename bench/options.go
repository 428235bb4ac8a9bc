package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options is what the command line asks for.
type options struct {
	// out is the file for the results as JSON. Default: none.
	out string
	// docs is the directory of benchmarks.md and benchmarks.svg, which get the results. Default: none.
	docs string
	// only names what is measured. Default: everything.
	only []string
	// callers replaces the numbers of callers of all cases but those that one caller does. Default: those of the case.
	callers []int
	// rounds is how often each side is measured.
	rounds int
	// duration is how long the callers of a sample begin new calls.
	duration time.Duration
	// growth are the sizes of a store, in events, that are compared with each other.
	growth []int
	// group lets concurrent Appends share commits, as they do by default.
	group bool
	sizes sizes
}

// sizes say how much there is to work on. Tests make them small.
type sizes struct {
	streams   int // existing streams of a caller
	longLoad  int // events of the long stream
	log       int // events of the log
	imported  int // events of an import
	storage   int // events of the store whose size on disk is taken
	growLimit int // events that one statement may grow a store by
}

func defaultSizes() sizes {
	return sizes{streams: 1000, longLoad: 10_000, log: 200_000, imported: 100_000, storage: 100_000, growLimit: 100_000}
}

func parseOptions(arguments []string, usage io.Writer) (options, error) {
	o := options{growth: []int{10_000, 1_000_000}, sizes: defaultSizes()}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.out, "out", "", "write the results as JSON to this `file`")
	f.StringVar(&o.docs, "docs", "", "write table and chart to benchmarks.md and benchmarks.svg in this `directory`")
	f.Func("only", "measure these alone, of "+strings.Join(names(), ","), func(text string) error {
		o.only = strings.Split(text, ",")
		return nil
	})
	f.Func("callers", "`numbers` of callers at once (default those of each case: most 1,4,16,64)", intoNumbers(&o.callers))
	f.IntVar(&o.rounds, "rounds", 5, "how often each side is measured")
	f.DurationVar(&o.duration, "duration", 400*time.Millisecond, "time of a sample")
	f.Func("growth", "`sizes` of a store in events, compared with the first; empty for none (default 10000,1000000)", intoNumbers(&o.growth))
	f.BoolVar(&o.group, "group", true, "let concurrent Appends share commits, as the default Config does")
	if err := f.Parse(arguments); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q: there are only flags", f.Arg(0))
	}
	return o, nil
}

// intoNumbers reads a list like 1,16; an empty one is none.
func intoNumbers(list *[]int) func(string) error {
	return func(text string) error {
		*list = nil
		if text == "" {
			return nil
		}
		for part := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(part)
			if err != nil {
				return err
			}
			*list = append(*list, n)
		}
		return nil
	}
}

func (o options) validate() error {
	if o.rounds < 1 || o.duration <= 0 {
		return fmt.Errorf("-rounds %d -duration %s: both must be above 0", o.rounds, o.duration)
	}
	for _, name := range o.only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("-only %s: there is no such case; there are %s", name, strings.Join(names(), ", "))
		}
	}
	for _, n := range o.callers {
		if n < 1 || n > maxCallers {
			return fmt.Errorf("-callers %d: must be from 1 to %d", n, maxCallers)
		}
	}
	for i, n := range o.growth {
		if n < minGrowth || i > 0 && n <= o.growth[i-1] {
			return fmt.Errorf("-growth %d: must be at least %d, and above the size before it", n, minGrowth)
		}
	}
	return nil
}

// wants says whether something is to be measured.
func (o options) wants(name string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, name)
}

// callersOf gives the numbers of callers to measure a case with.
func (o options) callersOf(c testCase) []int {
	if o.callers == nil || len(c.callers) == 1 {
		return c.callers
	}
	return o.callers
}
