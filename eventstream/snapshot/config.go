package snapshot

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

const (
	defaultEvery     = 100
	defaultQueueSize = 128
	defaultTimeout   = time.Minute
)

// Config says what a Store makes of streams, and when it keeps that.
type Config[S any] struct {
	// Name names the snapshots, 1 to 128 bytes: a stream has one of each name. Required.
	Name string
	// SchemaVersion is the form of the state, from 1. Count it up when the type of the state changes, or what Evolve makes of an event:
	// snapshots of another form are ignored and made anew. Default: 1.
	SchemaVersion int
	// Initial returns the state of a stream without events. It is called each time, so that no two states share a map. Default: the zero
	// value of S.
	Initial func() S
	// Evolve returns the state after an event. It must depend on nothing but its arguments, and may change the state that it is given.
	// Required.
	Evolve func(state S, event eventstream.Event) (S, error)
	// Codec turns the state into bytes and back. Default: JSON.
	Codec Codec[S]
	// Policy says when a snapshot is made. Default: on reading and on writing, every 100 events.
	Policy Policy
	// QueueSize is how many streams may wait for their snapshots to be made, from 1; more are dropped, until they are read the next
	// time. Default: 128.
	QueueSize int
	// Timeout bounds the making of one snapshot in the background, from 1 ms. Default: 1 min.
	Timeout time.Duration
	// Observer is told what becomes of snapshots. Default: SlogObserver(nil).
	Observer Observer
}

// When says which calls have snapshots made.
type When int

const (
	// OnReadAndWrite is OnRead and OnWrite together.
	OnReadAndWrite When = iota
	// OnRead has one made after a Load that found it due.
	OnRead
	// OnWrite has one made after a Save that made it due.
	OnWrite
	// Never leaves it to Rebuild. Snapshots that exist are used.
	Never
)

// Policy says when a snapshot is due.
type Policy struct {
	// Every is how many events may follow the last snapshot before the next one is due, from 1. It is also due where one was found that
	// cannot be used. Default: 100.
	Every int
	// When says which calls look. Default: OnReadAndWrite.
	When When
}

func (p Policy) onRead() bool  { return p.When == OnReadAndWrite || p.When == OnRead }
func (p Policy) onWrite() bool { return p.When == OnReadAndWrite || p.When == OnWrite }

// due says whether a stream as it was loaded deserves a new snapshot.
func (p Policy) due(stream *eventstream.EventStream, status eventstream.SnapshotStatus) bool {
	switch status {
	case eventstream.SnapshotNone, eventstream.SnapshotUsed:
		return stream.Watermark()-stream.BaseVersion() >= int64(p.Every)
	case eventstream.SnapshotPassedOver:
		return false
	default:
		return stream.Watermark() > 0
	}
}

// complete fills in the defaults, or returns an *eventstream.InvalidValueError that names the field.
func (c Config[S]) complete() (Config[S], error) {
	if c.SchemaVersion == 0 {
		c.SchemaVersion = 1
	}
	if c.Initial == nil {
		c.Initial = func() (zero S) { return zero }
	}
	if c.Codec == nil {
		c.Codec = JSON[S]()
	}
	if c.Policy.Every == 0 {
		c.Policy.Every = defaultEvery
	}
	if c.QueueSize == 0 {
		c.QueueSize = defaultQueueSize
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Observer == nil {
		c.Observer = SlogObserver(nil)
	}
	return c, c.validate()
}

func (c Config[S]) validate() error {
	if _, err := eventstream.NewStreamID(c.Name); err != nil {
		return invalid.Value("snapshot.Config.Name", c.Name,
			"1 to 128 bytes of UTF-8, without control characters, and without white space at either end")
	}
	switch {
	case c.SchemaVersion < 1 || c.SchemaVersion > math.MaxInt32:
		return invalid.Value("snapshot.Config.SchemaVersion", strconv.Itoa(c.SchemaVersion), "from 1 to 2147483647, or 0 for 1")
	case c.Evolve == nil:
		return invalid.Value("snapshot.Config.Evolve", "nil", "a function that gives the state after an event")
	case c.Policy.Every < 1:
		return invalid.Value("snapshot.Config.Policy.Every", strconv.Itoa(c.Policy.Every), "1 or more, or 0 for 100")
	case c.Policy.When < OnReadAndWrite || c.Policy.When > Never:
		return invalid.Value("snapshot.Config.Policy.When", strconv.Itoa(int(c.Policy.When)), "OnReadAndWrite, OnRead, OnWrite or Never")
	case c.QueueSize < 1:
		return invalid.Value("snapshot.Config.QueueSize", strconv.Itoa(c.QueueSize), "1 or more, or 0 for 128")
	case c.Timeout < time.Millisecond:
		return invalid.Value("snapshot.Config.Timeout", c.Timeout.String(), "1ms or more, or 0 for 1m0s")
	}
	return nil
}

// EvolveError says that Evolve refused an event of a stream.
type EvolveError struct {
	// Event is the event that it was given.
	Event eventstream.Event
	// Err is what it returned.
	Err error
}

// Error names the event and says what Evolve said.
func (e *EvolveError) Error() string {
	return fmt.Sprintf("event %s (%s, version %d of stream %s) does not evolve the state: %v",
		e.Event.ID, e.Event.Type, e.Event.Version, e.Event.StreamID, e.Err)
}

// Unwrap returns what Evolve returned.
func (e *EvolveError) Unwrap() error { return e.Err }
