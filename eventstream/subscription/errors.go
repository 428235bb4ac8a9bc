package subscription

import (
	"errors"
	"fmt"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/shown"
)

var (
	// ErrNotFound says that nobody has created a subscription of this name. See NotFoundError.
	ErrNotFound = errors.New("subscription not found: check its name, or run it to create it")
	// ErrMismatch says that a name is taken by a subscription of another configuration. See MismatchError.
	ErrMismatch = errors.New("subscription mismatch: use the configuration that it was created with, or another name")
	// ErrRunning says that this repository runs the subscription already.
	ErrRunning = errors.New("running already: run it once in a repository, and in other processes to share it")
	// ErrRebuildRunning says that somebody rebuilds the projection at this moment.
	ErrRebuildRunning = errors.New("being rebuilt already: wait until that is done, or end it, and rebuild again")
	// ErrRebuildCanceled says that the request which a process was at was taken back, by CancelRebuild.
	ErrRebuildCanceled = errors.New("the request to rebuild it was canceled")
	// ErrProjectionMismatch says that the tables of a projection and its checkpoint do not belong together. See
	// ProjectionMismatchError.
	ErrProjectionMismatch = errors.New("tables and checkpoint of a projection do not belong together: rebuild it")
	// ErrShardLost says that another process owns a shard by now. See ShardLostError.
	ErrShardLost = errors.New("shard lost: it was taken away, by another process, or by who paused, reset, resharded or rebuilt it")
	// ErrHandlerExited says that a handler ended the goroutine that called it, by runtime.Goexit, as t.FailNow of a test does.
	ErrHandlerExited = errors.New("handler ended its goroutine: return an error instead")
	// ErrTxIdle says that a TxHandler let its transaction wait for longer than Config.IdleTimeout, so that the server ended it.
	ErrTxIdle = errors.New("handler left its transaction idle for too long: do slow things outside of it, or raise IdleTimeout")
	// ErrHandlerTimeout says that a handler took longer than Config.HandlerTimeout.
	ErrHandlerTimeout = errors.New("handler took too long: let it handle less at a time, or raise HandlerTimeout")
)

// NotFoundError says that nobody has created a subscription of this name.
type NotFoundError struct {
	// Name is the name that was looked for.
	Name string
}

// Error names the subscription.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("subscription %s not found: check its name, or run it to create it", shown.Quote(e.Name))
}

// Is matches ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// MismatchError says that a name is taken by a subscription of another configuration.
type MismatchError struct {
	// Name is the subscription.
	Name string
	// Difference says what differs, with both values, as "shard count 4, now 3".
	Difference string
}

// Error names the subscription and what differs.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("subscription %s was created with %s: use the configuration that it was created with, change its shards "+
		"with Reshard, or give it another name; a projection takes over another filter when it is rebuilt", shown.Quote(e.Name), e.Difference)
}

// Is matches ErrMismatch.
func (e *MismatchError) Is(target error) bool { return target == ErrMismatch }

// ProjectionMismatchError says that the tables of a projection and its checkpoint do not belong together, or would not after what
// was asked for: one of the two is missing, or comes from elsewhere.
type ProjectionMismatchError struct {
	// Name is the projection.
	Name string
	// Problem says what is wrong, with the schema that it is about.
	Problem string
	// Advice says what to do.
	Advice string
}

// Error names the projection, what is wrong, and what to do.
func (e *ProjectionMismatchError) Error() string {
	return fmt.Sprintf("projection %s: %s. %s", shown.Quote(e.Name), e.Problem, e.Advice)
}

// Is matches ErrProjectionMismatch.
func (e *ProjectionMismatchError) Is(target error) bool { return target == ErrProjectionMismatch }

// ShardLostError says that another process owns a shard by now: the work of this one is dropped, and done there.
type ShardLostError struct {
	// Subscription and Shard name the shard.
	Subscription string
	Shard        int
	// Epoch is the ownership that was lost, CurrentEpoch the one that counts. They are the same if nobody else owns the shard yet: the
	// server does not know this process any more.
	Epoch, CurrentEpoch int64
}

// Error names the shard and both epochs.
func (e *ShardLostError) Error() string {
	if e.Epoch == e.CurrentEpoch {
		return fmt.Sprintf("shard %d of subscription %s is in epoch %d of a process that is not connected to this server any more: it goes on "+
			"from the checkpoint once it has joined again", e.Shard, shown.Quote(e.Subscription), e.Epoch)
	}
	return fmt.Sprintf("shard %d of subscription %s is in epoch %d, this was epoch %d: another process owns it by now, and does the work",
		e.Shard, shown.Quote(e.Subscription), e.CurrentEpoch, e.Epoch)
}

// Is matches ErrShardLost.
func (e *ShardLostError) Is(target error) bool { return target == ErrShardLost }

// HandlerError says that the handler of a subscription failed on an event, and on every further try; or that the Setup of a projection
// did. The error inside is the handler's own, whatever it is: no condition of this package, unless the handler itself met it.
type HandlerError struct {
	// Subscription and Shard say whose handler.
	Subscription string
	Shard        int
	// Event is the event that could not be handled. It has not been left out: the next Run tries it again. Zero for Setup.
	Event eventstream.LogEvent
	// Tries is how often it was tried by itself.
	Tries int
	// Err is what the handler returned last, or a *HandlerPanicError; an *UnreadableEventError for an event that it could not be given.
	Err error
}

// Error names the event, how often it was tried, and the last error.
func (e *HandlerError) Error() string {
	if unreadable := asUnreadable(e.Err); unreadable != nil {
		return fmt.Sprintf("subscription %s stopped: %v; or skip it with SkipEvent", shown.Quote(e.Subscription), unreadable)
	}
	if e.Event.Position == 0 {
		return fmt.Sprintf("Setup of projection %s failed: %v; mend it, and run it again", shown.Quote(e.Subscription), e.Err)
	}
	return fmt.Sprintf("handler of subscription %s failed %d times on the event at position %d (version %d of stream %s): %v; "+
		"mend the handler and run it again, or skip the event with SkipEvent", shown.Quote(e.Subscription), e.Tries, e.Event.Position,
		e.Event.Version, shown.Quote(string(e.Event.StreamID)), e.Err)
}

// Unwrap gives the handler's error.
func (e *HandlerError) Unwrap() error { return e.Err }

func (*HandlerError) ofTheHandler() {}

// HandlerStuckError says that a handler did not come to an end although it was told to, so that Run returned without it. It may still be at
// work; the checkpoint is out of its reach.
type HandlerStuckError struct {
	// Subscription and Shard say whose handler.
	Subscription string
	Shard        int
	// Limit is the time that it had, Config.StopTimeout.
	Limit time.Duration
}

// Error names the shard and the time.
func (e *HandlerStuckError) Error() string {
	return fmt.Sprintf("handler of subscription %s, shard %d, did not return within %s (StopTimeout) after its context ended: "+
		"let it give up when its context ends", shown.Quote(e.Subscription), e.Shard, e.Limit)
}

// HandlerPanicError is the error of a handler that panicked.
type HandlerPanicError struct {
	// Value is what it panicked with.
	Value any
	// Stack is where.
	Stack []byte
}

// Error says what the handler panicked with.
func (e *HandlerPanicError) Error() string {
	return fmt.Sprintf("handler panicked: %v\n%s", e.Value, e.Stack)
}
