// Package listing measures what is asked of many streams at once: pages of heads, counts, and which streams changed last, with the plans
// that the server chose. The queries are those of the repository.
//
// The store has a hundred tenants, ten categories and 32 partitions, independent of each other. It is built by INSERT through the gate, and
// vacuumed. A round takes a sample of each case, a page beginning at an id drawn anew; which case comes first changes from round to round.
// Plans are those of a session that has called each query often enough to settle on its plan.
package listing

import (
	"flag"
	"fmt"
	"time"
)

// minStreams leaves every tenant, category and partition some.
const minStreams = 10_000

// Options is what the command line asks for.
type Options struct {
	// streams is how many streams the store has, and events how many events each has.
	streams, events int
	// rounds is how often each case is measured.
	rounds int
	// duration is how long a sample begins new calls.
	duration time.Duration
	// plans says that plans are shown.
	plans bool
}

// Defaults measures a million streams.
func Defaults() *Options {
	return &Options{streams: 1_000_000, events: 2, rounds: 5, duration: 200 * time.Millisecond, plans: true}
}

// Flags defines what the command line may say.
func (o *Options) Flags(f *flag.FlagSet) {
	f.IntVar(&o.streams, "streams", o.streams, "streams of the store, at least 10000")
	f.IntVar(&o.events, "events", o.events, "events of each stream")
	f.IntVar(&o.rounds, "rounds", o.rounds, "how often each case is measured")
	f.DurationVar(&o.duration, "duration", o.duration, "time of a sample")
	f.BoolVar(&o.plans, "plans", o.plans, "show the plans too; they need the server's module auto_explain")
}

// Validate refuses what cannot be measured.
func (o *Options) Validate() error {
	if o.streams < minStreams || o.events < 1 {
		return fmt.Errorf("-streams %d -events %d: at least %d and 1 are needed", o.streams, o.events, minStreams)
	}
	if o.rounds < 1 || o.duration <= 0 {
		return fmt.Errorf("-rounds %d -duration %s: both must be above 0", o.rounds, o.duration)
	}
	return nil
}
