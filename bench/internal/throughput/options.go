// Package throughput measures what an application gets: events per second of Gapless against plain PostgreSQL doing the same in the same
// run.
//
// A case is a thing that applications do, with a number of callers who do it at once, each a goroutine that calls again and again until
// the sample's time is up. A round takes one sample of each side, and the side that comes first changes from round to round. The ratio is
// that of a round, before the median over the rounds is taken: what slows a whole round down cancels out. The spread is (highest - lowest) /
// median. Both sides have a pool of as many connections as there are callers and four more, and a sample for warming up that does not count.
//
// A case has a database of its own for each number of callers. After the samples, what the tables hold is compared with what was
// acknowledged, so that a case that does nothing fails.
package throughput

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/bench/internal/database"
)

// Options is what the command line asks for.
type Options struct {
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
	appends   int // appends after which dead rows are counted
	growLimit int // events that one statement may grow a store by
}

func defaultSizes() sizes {
	return sizes{
		streams: 1000, longLoad: 10_000, log: 200_000, imported: 100_000, storage: 100_000, appends: 10_000, growLimit: 100_000,
	}
}

// Defaults measures everything.
func Defaults() *Options {
	return &Options{rounds: 5, duration: 400 * time.Millisecond, growth: []int{10_000, 1_000_000}, group: true, sizes: defaultSizes()}
}

// Flags defines what the command line may say.
func (o *Options) Flags(f *flag.FlagSet) {
	f.Func("only", "measure these alone, of "+strings.Join(names(), ","), func(text string) error {
		o.only = strings.Split(text, ",")
		return nil
	})
	f.Func("callers", "`numbers` of callers at once (default those of each case: most 1,4,16,64)", intoNumbers(&o.callers))
	f.IntVar(&o.rounds, "rounds", o.rounds, "how often each side is measured")
	f.DurationVar(&o.duration, "duration", o.duration, "time of a sample")
	f.Func("growth", "`sizes` of a store in events, compared with the first; empty for none (default 10000,1000000)", intoNumbers(&o.growth))
	f.IntVar(&o.sizes.appends, "appends", o.sizes.appends, "appends after which dead rows are counted")
	f.BoolVar(&o.group, "group", o.group, "let concurrent Appends share commits, as the default Config does")
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

// Validate refuses what cannot be measured.
func (o *Options) Validate() error {
	if o.rounds < 1 || o.duration <= 0 {
		return fmt.Errorf("-rounds %d -duration %s: both must be above 0", o.rounds, o.duration)
	}
	if o.sizes.appends < storageCallers {
		return fmt.Errorf("-appends %d: at least %d are needed, one for each caller", o.sizes.appends, storageCallers)
	}
	for _, name := range o.only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("-only %s: there is no such case; there are %s", name, strings.Join(names(), ", "))
		}
	}
	for _, n := range o.callers {
		if n < 1 || n > database.MaxCallers {
			return fmt.Errorf("-callers %d: must be from 1 to %d", n, database.MaxCallers)
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
func (o *Options) wants(name string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, name)
}

// callersOf gives the numbers of callers to measure a case with.
func (o *Options) callersOf(c testCase) []int {
	if o.callers == nil || len(c.callers) == 1 {
		return c.callers
	}
	return o.callers
}
