package subscription

import (
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Observer is told what a subscription does (Config.Observer). It is called for one observation at a time, in their order, by
// a goroutine of its own for each Run: one that is slow or that panics holds nobody up. What it has no time for is left out and
// counted (ObservationsMissed). When Run returns, it has been told everything. SlogObserver is one.
type Observer func(Observation)

// Observation is what an Observer is told: a BatchHandled, TryFailed, EventParked, HandlerLate, ShardClaimed, ShardReleased, ShardLost,
// Interrupted, RunStopped, RunRestarts, RunGivenUp, RebuildTaken, RebuildFailed, ProjectionRebuilt or ObservationsMissed. There may be more kinds in the future: have a default.
type Observation interface {
	observation()
}

// BatchHandled says that events are handled, and that the checkpoint has passed them.
type BatchHandled struct {
	// Subscription and Shard say whose events.
	Subscription string
	Shard        int
	// Events is how many were handled, and Waiting how many were put aside behind a parked event of their stream.
	Events, Waiting int
	// Position is the checkpoint, and Took the time from the first call of the handler until it moved.
	Position int64
	Took     time.Duration
}

// EventRef says which event it is.
type EventRef struct {
	// ID, Position, StreamID, Version and Type are those of the event.
	ID       uuid.UUID
	Position int64
	StreamID eventstream.StreamID
	Version  int64
	Type     eventstream.EventType
}

// TryFailed says that a handler failed.
type TryFailed struct {
	// Subscription and Shard say whose handler.
	Subscription string
	Shard        int
	// First and Last are the first and the last of the events that it failed on, Events in number. Of more than one, which is at fault is not known
	// yet, and the next tries are with fewer.
	First, Last EventRef
	Events      int
	// Tries is how often it has failed on the event alone, as far as that counts; Counted says whether this time does.
	Tries   int
	Counted bool
	// Err is what it returned, or a *HandlerPanicError.
	Err error
}

// EventParked says that an event was put aside, since its handler failed too often on it, or for good.
type EventParked struct {
	// Subscription and Shard say who put it aside.
	Subscription string
	Shard        int
	// Event is the event, Tries how often the handler failed on it, and Err what it returned last.
	Event EventRef
	Tries int
	Err   error
}

// HandlerLate says that a handler has not returned, or not acknowledged, in time. What it does late is without effect on the checkpoint.
type HandlerLate struct {
	// Subscription and Shard say whose handler.
	Subscription string
	Shard        int
	// Limit is the time that it had: Config.HandlerTimeout, or StopTimeout once it was told to come to an end.
	Limit time.Duration
	// Abandoned says that nobody waits for it any longer, and that its shard goes to others.
	Abandoned bool
}

// ShardClaimed says that this process works on a shard from now on.
type ShardClaimed struct {
	// Subscription and Shard name the shard.
	Subscription string
	Shard        int
	// Epoch is the ownership, which only the next claim ends for good.
	Epoch int64
}

// ShardReleased says that this process has given a shard to others in good order.
type ShardReleased ShardClaimed

// ShardLost says that a shard was taken from this process: it hung, its connection was lost, or somebody resharded, paused, reset, skipped or
// rebuilt. What a rebuild itself reads through is not told of: it ends as planned.
type ShardLost struct {
	// Subscription and Shard name the shard, and Epoch the ownership that was lost.
	Subscription string
	Shard        int
	Epoch        int64
	// Err matches ErrShardLost.
	Err error
}

// Interrupted says that something other than the handler failed, and is tried again: the database is away, a connection was lost.
type Interrupted struct {
	// Subscription and Shard say what was interrupted; Shard is -1 if it is all of it.
	Subscription string
	Shard        int
	// Err is what happened.
	Err error
}

// RunStopped says that Run returns an error: a *HandlerError, ErrTxEnded, a *MismatchError and so on.
type RunStopped struct {
	// Subscription says who stopped.
	Subscription string
	// Err is what Run returns.
	Err error
}

// RunRestarts says that a job of a Runner failed, and is run again.
type RunRestarts struct {
	// Subscription is the name of the job, and Restarts how often it was, with this time.
	Subscription string
	Restarts     int
	// After is the pause before it is.
	After time.Duration
	// Err is what its Run returned.
	Err error
}

// RunGivenUp says that a job of a Runner failed, and is not run again.
type RunGivenUp struct {
	// Subscription is the name of the job.
	Subscription string
	// Err is what its Run returned.
	Err error
}

// ProjectionRebuilt says that a rebuild is done, and that its tables are live.
type ProjectionRebuilt struct {
	// Projection is the name of the projection, and Took the time that the rebuild took.
	Projection string
	Took       time.Duration
}

// RebuildTaken says that this process takes up a request to rebuild a projection that it runs.
type RebuildTaken struct {
	// Projection is the name of the projection, and InPlace whether its live tables are emptied first.
	Projection string
	InPlace    bool
	// By is the database user who requested it.
	By string
}

// RebuildFailed says that a rebuild that was requested came to nothing.
type RebuildFailed struct {
	// Projection is the name of the projection.
	Projection string
	// Err is why.
	Err error
	// Again says that the request is still open, and is taken up again by this process or another: the database was away, or a connection
	// was lost. Otherwise it has ended, and says why.
	Again bool
}

// ObservationsMissed says that the observer was too slow for some observations before this one.
type ObservationsMissed struct {
	// Subscription says whose, and Count how many.
	Subscription string
	Count        int64
}

func (BatchHandled) observation()       {}
func (TryFailed) observation()          {}
func (EventParked) observation()        {}
func (HandlerLate) observation()        {}
func (ShardClaimed) observation()       {}
func (ShardReleased) observation()      {}
func (ShardLost) observation()          {}
func (Interrupted) observation()        {}
func (RunStopped) observation()         {}
func (RunRestarts) observation()        {}
func (RunGivenUp) observation()         {}
func (RebuildTaken) observation()       {}
func (RebuildFailed) observation()      {}
func (ProjectionRebuilt) observation()  {}
func (ObservationsMissed) observation() {}

// refTo is what is told of an event: without what it carries, which may be large.
func refTo(e *eventstream.LogEvent) EventRef {
	return EventRef{ID: e.ID, Position: e.Position, StreamID: e.StreamID, Version: e.Version, Type: e.Type}
}
