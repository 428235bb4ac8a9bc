// Package access is what a repository of package eventstream lets other packages of this module do beyond what its users see. Package
// eventstream provides it, and eventstream/subscription stands on it.
package access

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/readbudget"
)

const (
	// MaxPartitionCount is the largest number of partitions that a store can have.
	MaxPartitionCount = 32768
	// MinConnections is the fewest connections that subscriptions can run with.
	MinConnections = 3
)

// Core is a repository from inside. Its type parameters are LogEvent, LogFilter and Start of package eventstream, which this package
// cannot import: so both sides are checked by the compiler.
type Core[Event, Filter, Start any] interface {
	// Pool is the pool that the repository is on, even where WithTx put it into a transaction; nil if it is on none.
	Pool() *pgxpool.Pool
	// Handle is what it runs its queries on.
	Handle() db.DBTX
	// Tracer is the Tracer of its Config, which may be one for others too; nil if there is none.
	Tracer() any
	// Tenant is whom it is for; empty for all. What subscriptions keep is not a tenant's, so Handle is the one without.
	Tenant() string
	// Settings are those of its Config that concern others.
	Settings() Settings
	// Runtime is what the subscriptions of the repository share, whatever transaction it is in: made by the first call, together with
	// what is called after every append. It is never made twice.
	Runtime(create func() (runtime any, appended func())) any
	// Partitions is the store's partition count.
	Partitions(ctx context.Context, h db.DBTX) (int, error)
	// Budget bounds what its readers hold in memory.
	Budget() *readbudget.Budget

	// NormalFilter checks a filter against a number of partitions, and returns it in the form that the database compares.
	NormalFilter(filter Filter, partitions int) (Filter, error)
	// CheckStart checks a start against a number of partitions, and StartJSON is the start as the database keeps it.
	CheckStart(start Start, partitions int) error
	StartJSON(start Start) json.RawMessage

	// Pages reads the log upwards, from above a position, in pages of so many events at most; large ones by two connections at once, where
	// beside gives the second.
	Pages(filter Filter, after int64, most int, beside Beside) Pages[Event]
	// EventAt reads the event at a position, however large it is; false if there is none.
	EventAt(ctx context.Context, h db.DBTX, position int64) (Event, bool, error)
	// NameUnreadable puts the event at a position in place of the error that reading it ended with, if it is to blame.
	NameUnreadable(ctx context.Context, position int64, err error) error

	// Explain turns an error of the database into one of package eventstream, where there is one.
	Explain(err error) error
	// ExplainRead does so too with the error of a row that could not be read.
	ExplainRead(err error) error
}

// Settings are the parts of a repository's Config that concern others.
type Settings struct {
	PageSize    int
	Connections int
	Lease       time.Duration
	Notify      bool
}

// Pages goes through the log page by page.
type Pages[Event any] interface {
	// After is the position up to which all was read.
	After() int64
	// Until says how far there is something to read: a position that is stable.
	Until(stable int64)
	// Skip passes over what there is to read.
	Skip()
	// Next reads the next page, of so many bytes at most, into a buffer if that is large enough, and moves on over the positions that it
	// covered. After an *UnreadableEventError it goes on behind that event.
	Next(ctx context.Context, h db.DBTX, bytes int64, buffer []Event) ([]Event, error)
}

// Beside gives one more connection that goes to the same log, and calls lent once it has one; an error if there is none to be had. It is
// called by another goroutine while its caller waits, so it may change what is the caller's.
type Beside = func(ctx context.Context, lent func()) (h db.DBTX, release func(), err error)

// core is set once, when package eventstream is initialized.
var core func(repository any) any

// Provide is for package eventstream: it gives the Core of a *eventstream.Repository.
func Provide(of func(repository any) any) { core = of }

// Of is the Core of a *eventstream.Repository.
func Of[Event, Filter, Start any](repository any) Core[Event, Filter, Start] {
	return core(repository).(Core[Event, Filter, Start]) //nolint:forcetypeassert // package eventstream has the compiler check it
}
