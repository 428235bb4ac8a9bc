package eventstream

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrSubscriptionNotFound says that nobody has created a subscription of this name. See SubscriptionNotFoundError.
	ErrSubscriptionNotFound = errors.New("subscription not found: check its name, or run it to create it")
	// ErrSubscriptionMismatch says that a name is taken by a subscription of another configuration. See SubscriptionMismatchError.
	ErrSubscriptionMismatch = errors.New("subscription mismatch: use the configuration that it was created with, or another name")
	// ErrSubscriptionRunning says that this repository runs the subscription already.
	ErrSubscriptionRunning = errors.New("subscription is running already: run it once in a repository, and in other processes to share it")
	// ErrRebuildRunning says that somebody rebuilds the projection at this moment.
	ErrRebuildRunning = errors.New("projection is being rebuilt: wait until that is done, or end it, and rebuild again")
	// ErrProjectionMismatch says that the tables of a projection and its checkpoint do not belong together. See
	// ProjectionMismatchError.
	ErrProjectionMismatch = errors.New("tables and checkpoint of a projection do not belong together: rebuild it")
	// ErrShardLost says that another process owns a shard by now. See ShardLostError.
	ErrShardLost = errors.New("shard lost: another process owns it by now, and does the work")
	// ErrBeyondLog says that the log has not reached a position or sequence number. See BeyondLogError.
	ErrBeyondLog = errors.New("beyond the end of the log")
	// ErrTxEnded says that a TxHandler ended the transaction that it was given: what it committed may come again.
	ErrTxEnded = errors.New("handler ended its transaction: leave COMMIT and ROLLBACK to the subscription")
	// ErrHandlerExited says that a handler ended the goroutine that called it, by runtime.Goexit, as t.FailNow of a test does.
	ErrHandlerExited = errors.New("handler ended its goroutine: return an error instead")
	// ErrTxIdle says that a TxHandler let its transaction wait for longer than SubscriptionConfig.IdleTimeout, so that the server ended it.
	ErrTxIdle = errors.New("handler left its transaction idle for too long: do slow things outside of it, or raise IdleTimeout")
	// ErrHandlerTimeout says that a handler took longer than SubscriptionConfig.HandlerTimeout.
	ErrHandlerTimeout = errors.New("handler took too long: let it handle less at a time, or raise HandlerTimeout")
)

// SubscriptionNotFoundError says that nobody has created a subscription of this name.
type SubscriptionNotFoundError struct {
	// Name is the name that was looked for.
	Name string
}

// Error names the subscription.
func (e *SubscriptionNotFoundError) Error() string {
	return fmt.Sprintf("subscription %s not found: check its name, or run it to create it", quote(e.Name))
}

// Is matches ErrSubscriptionNotFound.
func (e *SubscriptionNotFoundError) Is(target error) bool { return target == ErrSubscriptionNotFound }

// SubscriptionMismatchError says that a name is taken by a subscription of another configuration.
type SubscriptionMismatchError struct {
	// Name is the subscription.
	Name string
	// Difference says what differs, with both values, as "shard count 4, now 3".
	Difference string
}

// Error names the subscription and what differs.
func (e *SubscriptionMismatchError) Error() string {
	return fmt.Sprintf("subscription %s was created with %s: use the configuration that it was created with, change its shards "+
		"with ReshardSubscription, or give it another name; a projection takes over another filter when it is rebuilt", quote(e.Name), e.Difference)
}

// Is matches ErrSubscriptionMismatch.
func (e *SubscriptionMismatchError) Is(target error) bool { return target == ErrSubscriptionMismatch }

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
	return fmt.Sprintf("projection %s: %s. %s", quote(e.Name), e.Problem, e.Advice)
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
			"from the checkpoint once it has joined again", e.Shard, quote(e.Subscription), e.Epoch)
	}
	return fmt.Sprintf("shard %d of subscription %s is in epoch %d, this was epoch %d: another process owns it by now, and does the work",
		e.Shard, quote(e.Subscription), e.CurrentEpoch, e.Epoch)
}

// Is matches ErrShardLost.
func (e *ShardLostError) Is(target error) bool { return target == ErrShardLost }

// fieldEvent is the field of a BeyondLogError about an event that was read.
const fieldEvent = "event"

// BeyondLogError says that the log has not reached a position or sequence number, so that it comes from elsewhere.
type BeyondLogError struct {
	// Field is what is beyond the end: position, sequence, sequence of partition n; or event, for one that was read and that the log does
	// not hold any more.
	Field string
	// Value is what was asked for.
	Value int64
	// Last is where the log ends.
	Last int64
}

// Error says which value, and where the log ends.
func (e *BeyondLogError) Error() string {
	if e.Field == fieldEvent {
		return fmt.Sprintf("the log, which is at %d, does not hold the event that was read at position %d: it went back since, by a failover or a "+
			"restore, or is another; go on behind an event that it holds, or from the beginning", e.Last, e.Value)
	}
	return fmt.Sprintf("%s %d is beyond the end of the log, which is at %d: a value from another database does not fit this one",
		e.Field, e.Value, e.Last)
}

// Is matches ErrBeyondLog.
func (e *BeyondLogError) Is(target error) bool { return target == ErrBeyondLog }

// HandlerError says that the handler of a subscription failed on an event, and on every further try; or that the Setup of a projection
// did. The error inside is the handler's own, whatever it is: no condition of this package, unless the handler itself met it.
type HandlerError struct {
	// Subscription and Shard say whose handler.
	Subscription string
	Shard        int
	// Event is the event that could not be handled. It has not been left out: the next Run tries it again. Zero for Setup.
	Event LogEvent
	// Tries is how often it was tried by itself.
	Tries int
	// Err is what the handler returned last, or a *HandlerPanicError; an *UnreadableEventError for an event that it could not be given.
	Err error
}

// Error names the event, how often it was tried, and the last error.
func (e *HandlerError) Error() string {
	if unreadable := asUnreadable(e.Err); unreadable != nil {
		return fmt.Sprintf("subscription %s stopped: %v; or skip it with SkipEvent", quote(e.Subscription), unreadable)
	}
	if e.Event.Position == 0 {
		return fmt.Sprintf("Setup of projection %s failed: %v; mend it, and run it again", quote(e.Subscription), e.Err)
	}
	return fmt.Sprintf("handler of subscription %s failed %d times on the event at position %d (version %d of stream %s): %v; "+
		"mend the handler and run it again, or skip the event with SkipEvent", quote(e.Subscription), e.Tries, e.Event.Position,
		e.Event.Version, quote(string(e.Event.StreamID)), e.Err)
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
	// Limit is the time that it had, SubscriptionConfig.StopTimeout.
	Limit time.Duration
}

// Error names the shard and the time.
func (e *HandlerStuckError) Error() string {
	return fmt.Sprintf("handler of subscription %s, shard %d, did not return within %s (StopTimeout) after its context ended: "+
		"let it give up when its context ends", quote(e.Subscription), e.Shard, e.Limit)
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
