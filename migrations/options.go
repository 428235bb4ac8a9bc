package migrations

import (
	"fmt"
	"log/slog"
)

const maxPartitionCount = 32768

// Options changes how [Up], [Down] and [DownTo] work. Nil and the zero value are valid.
type Options struct {
	// PartitionCount is how many partitions a new store gets, 1 to 32768. It is chosen once: on a database that has a store
	// already, another count than the store's is refused with [StoreMismatchError].
	//
	// Default: 0, which takes a store as it is, and gives a new one what the setting eventstream.partition_count of the session
	// says, else 32.
	PartitionCount int

	// DropEvents lets [Down] and [DownTo] go back on a store that holds events, which they may drop.
	//
	// Default: false, which refuses that with [ErrHoldsEvents].
	DropEvents bool

	// Logger is told each migration that was run, with its version, name and duration.
	//
	// Default: nil, which logs nothing.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	if o == nil {
		o = &Options{}
	}
	out := *o
	if out.PartitionCount < 0 || out.PartitionCount > maxPartitionCount {
		return out, fmt.Errorf("migrations: Options.PartitionCount is %d: must be 1 to %d, or 0 for the default",
			out.PartitionCount, maxPartitionCount)
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out, nil
}
