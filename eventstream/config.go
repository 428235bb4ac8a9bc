package eventstream

import (
	"strconv"
	"time"
)

const (
	defaultPageSize    = 500
	maxPageSize        = 100_000
	defaultConnections = 4
	minConnections     = 3
	maxConnections     = 1000
	defaultLease       = 15 * time.Second
	minLease           = time.Second
)

// Config adjusts a Repository. Nil and the zero value mean the defaults.
type Config struct {
	// PageSize is how many rows a read fetches in one round trip, from 1 to 100,000: more costs memory, fewer cost time.
	// Default: 500.
	PageSize int
	// Connections is how many connections of the pool all running subscriptions may use together: one by which others see that
	// the process is alive, one to poll, the others to fetch and handle events; with Notify, one to listen. From 3, or 4 with
	// Notify, to 1000. Default: 4.
	Connections int
	// Lease is how long a process that runs subscriptions may hang before it loses its shards, and how long a transaction of a
	// handler may wait between two statements. From 1 s. Default: 15 s.
	Lease time.Duration
	// Notify lets pollers of several processes wake each other by NOTIFY, sent when a poller sees the log move, never by an append.
	// It needs a session of its own to listen, which a pooler in transaction mode does not give. Default: false.
	Notify bool
	// Inline are called in the transaction of every append, in this order. Default: none.
	Inline []InlineProjection
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
	setDefault(&out.Connections, defaultConnections)
	setDefault(&out.Lease, defaultLease)
	least := minConnections
	if out.Notify {
		least++
	}
	if err := checkRange("Config.Connections", out.Connections, least, maxConnections); err != nil {
		return Config{}, err
	}
	if out.Lease < minLease {
		return Config{}, invalidValue("Config.Lease", out.Lease.String(), "1s or more, or 0 for 15s")
	}
	return out, nil
}
