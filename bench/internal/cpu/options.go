// Package cpu measures what Gapless costs the server: microseconds of CPU time per event, against a bare INSERT of the same rows in the same
// run.
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
// Cases are compared with the bare INSERT of the same shape: as many events, on as many streams. All cases of a shape are measured one after
// the other, and which one comes first changes from round to round.
//
// # States
//
//   - installed: right after install. The session has cached its plans while the tables were empty, then a few thousand streams were
//     created, and nothing was ever analyzed.
//   - grown: the same session and the same plans, with -streams streams, still not analyzed.
//   - analyzed: after VACUUM (ANALYZE), which makes the session plan again.
//
// Each is measured in autocommit, commit included, and inside one transaction a sample. What is shown are medians over the rounds, ratios of
// a round being taken before the median. The spread is that of the microseconds: (highest - lowest) / median.
package cpu

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// States and modes, in the order of a run.
const (
	installed = "installed"
	grown     = "grown"
	analyzed  = "analyzed"

	autocommit  = "autocommit"
	transaction = "transaction"
)

func allStates() []string { return []string{installed, grown, analyzed} }

func allModes() []string { return []string{autocommit, transaction} }

// Options is what the command line asks for.
type Options struct {
	// streams is how many streams the store has in the states grown and analyzed.
	streams int
	// rounds is how often each case is measured.
	rounds int
	// calls is how many calls of a single event make a sample; of a batch it is a twenty-fifth.
	calls int
	// states and modes are what is measured. Default: all.
	states, modes []string
}

// Defaults measures everything.
func Defaults() *Options {
	return &Options{streams: 200_000, rounds: 5, calls: 1000, states: allStates(), modes: allModes()}
}

// Flags defines what the command line may say.
func (o *Options) Flags(f *flag.FlagSet) {
	f.IntVar(&o.streams, "streams", o.streams, "streams of the grown store, at least 100")
	f.IntVar(&o.rounds, "rounds", o.rounds, "how often each case is measured")
	f.IntVar(&o.calls, "calls", o.calls, "calls of a single event in a sample")
	list := func(name string, all []string, into *[]string) {
		f.Func(name, "measure these alone, of "+strings.Join(all, ","), func(text string) error {
			*into = strings.Split(text, ",")
			return nil
		})
	}
	list("states", allStates(), &o.states)
	list("modes", allModes(), &o.modes)
}

// Validate refuses what cannot be measured.
func (o *Options) Validate() error {
	if o.streams < batchSize {
		return fmt.Errorf("-streams %d: at least %d are needed, the streams of one batch", o.streams, batchSize)
	}
	if o.rounds < 1 || o.calls < 1 {
		return fmt.Errorf("-rounds %d -calls %d: both must be at least 1", o.rounds, o.calls)
	}
	for _, list := range []struct {
		flag        string
		chosen, all []string
	}{{"states", o.states, allStates()}, {"modes", o.modes, allModes()}} {
		for _, name := range list.chosen {
			if !slices.Contains(list.all, name) {
				return fmt.Errorf("-%s %q: must be of %s", list.flag, name, strings.Join(list.all, ", "))
			}
		}
	}
	return nil
}
