package eventstream

import (
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/unset"
)

const (
	defaultPageSize    = 500
	maxPageSize        = 100_000
	defaultConnections = 5
	minConnections     = access.MinConnections
	maxConnections     = 1000
	defaultLease       = 15 * time.Second
	minLease           = time.Second
	defaultGroupEvents = 1000
	defaultGroupBytes  = 1 << 20
	defaultInFlight    = 2
	defaultMaxAhead    = 1_000_000
	defaultReadBytes   = 64 << 20
	minReadBytes       = 1 << 20
)

// Config adjusts a Repository. Nil and the zero value mean the defaults.
type Config struct {
	// PageSize is how many rows a read fetches in one round trip, from 1 to 100,000: more costs memory, fewer cost time.
	// Default: 500.
	PageSize int
	// MaxReadBytes bounds the events that all reading of this repository holds in memory at a time, from 1 MiB: loops over ReadLog and
	// Read with what they read ahead, and every shard of every subscription with what its handler has. It counts payloads, data and
	// metadata, and 288 bytes for each event. A loop or a shard takes a quarter at most, and no more than its fair share; where nothing
	// is free, each goes on event by event, and an event that is larger than its share comes alone. Go's collector lets the heap
	// grow to about twice of what is held. Default: 64 MiB.
	MaxReadBytes int64
	// Connections is how many connections all running subscriptions may use together: one by which others see that the process is alive,
	// one to poll, and with Notify one to listen, which are opened as the pool's are and are none of these; and, of the pool, the others
	// to fetch and handle events: with three, a shard that is far behind fetches by two while its handler works. From 3, or 4 with Notify,
	// to 1000. Default: 5.
	Connections int
	// MaxAhead is how far above a stream's watermark the version of an ingested event may be, from 1: one that is further ahead is a mistake
	// that would end the stream, and is refused. Default: 1,000,000.
	MaxAhead int64
	// Lease is how long a process that runs subscriptions may hang before it loses its shards, and how long a transaction of a
	// handler may wait between two statements. From 1 s. Default: 15 s.
	Lease time.Duration
	// Notify lets pollers of several processes wake each other by NOTIFY, sent when a poller sees the log move, never by an append.
	// It needs a session of its own to listen, which a pooler in transaction mode does not give. Default: false.
	Notify bool
	// Group says how concurrent appends share commits. It has no effect with Inline, or where the handle is not a pool: then each commits
	// by itself. Default: they share, see GroupConfig.
	Group GroupConfig
	// Inline are called in the transaction of every append, in this order. Default: none.
	Inline []InlineProjection
	// Tracer is told of appends, and of what else it has methods for: see Tracer. Default: nil, which costs nothing.
	Tracer Tracer
}

// GroupConfig bounds how calls of Append, Save and AppendMany of one process that come at the same time share a statement and its
// commit. The zero value means the defaults.
type GroupConfig struct {
	// Off makes every call commit by itself. Default: false.
	Off bool
	// MaxEvents bounds the events of a batch, from 1 to 100,000; a call with more goes alone. Default: 1000.
	MaxEvents int
	// MaxBytes bounds the payloads, data and metadata of a batch, from 1 to 1 GiB; a call with more goes alone. Default: 1 MiB.
	MaxBytes int
	// InFlight is how many batches may be under way at the same time, from 1 to 1000, each with a connection of the pool. A second one
	// starts beside the first when 16 events wait. Those that wait for streams which other writers hold are not counted: they take up to
	// 3 connections more, or half of the pool if that is less. Default: 2.
	InFlight int
}

func (c *GroupConfig) complete() error {
	unset.Default(&c.MaxEvents, defaultGroupEvents)
	unset.Default(&c.MaxBytes, defaultGroupBytes)
	unset.Default(&c.InFlight, defaultInFlight)
	return errorsFirst(
		checkRange("Config.Group.MaxEvents", c.MaxEvents, 1, MaxEventsPerCall),
		checkRange("Config.Group.MaxBytes", c.MaxBytes, 1, 1<<30),
		checkRange("Config.Group.InFlight", c.InFlight, 1, maxConnections),
	)
}

// withDefaults returns a complete copy, or an *InvalidValueError that names the field and its bounds.
func (c *Config) withDefaults() (Config, error) {
	out := Config{}
	if c != nil {
		out = *c
	}
	if out.PageSize == 0 {
		out.PageSize = defaultPageSize
	}
	if out.PageSize < 1 || out.PageSize > maxPageSize {
		return Config{}, invalidValue("Config.PageSize", strconv.Itoa(out.PageSize), "from 1 to 100000, or 0 for 500")
	}
	unset.Default(&out.Connections, defaultConnections)
	unset.Default(&out.Lease, defaultLease)
	least := minConnections
	if out.Notify {
		least++
	}
	if err := checkRange("Config.Connections", out.Connections, least, maxConnections); err != nil {
		return Config{}, err
	}
	if err := out.Group.complete(); err != nil {
		return Config{}, err
	}
	unset.Default(&out.MaxAhead, defaultMaxAhead)
	if out.MaxAhead < 1 {
		return Config{}, invalidValue("Config.MaxAhead", strconv.FormatInt(out.MaxAhead, 10), "1 or more, or 0 for 1000000")
	}
	unset.Default(&out.MaxReadBytes, defaultReadBytes)
	if out.MaxReadBytes < minReadBytes {
		return Config{}, invalidValue("Config.MaxReadBytes", strconv.FormatInt(out.MaxReadBytes, 10), "1048576 or more, or 0 for 67108864")
	}
	if out.Lease < minLease {
		return Config{}, invalidValue("Config.Lease", out.Lease.String(), "1s or more, or 0 for 15s")
	}
	for i, projection := range out.Inline {
		if projection == nil {
			return Config{}, invalidValue("Config.Inline["+strconv.Itoa(i)+"]", "nil", "a function")
		}
	}
	return out, nil
}

func checkRange(field string, value, lowest, highest int) error {
	if value < lowest || value > highest {
		return invalidValue(field, strconv.Itoa(value), "from "+strconv.Itoa(lowest)+" to "+strconv.Itoa(highest)+", or 0 for the default")
	}
	return nil
}
