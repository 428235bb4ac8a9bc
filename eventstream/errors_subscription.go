package eventstream

import (
	"errors"
	"fmt"
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
	// Epoch is the ownership that was lost, CurrentEpoch the one that counts.
	Epoch, CurrentEpoch int64
}

// Error names the shard and both epochs.
func (e *ShardLostError) Error() string {
	return fmt.Sprintf("shard %d of subscription %s is in epoch %d, this was epoch %d: another process owns it by now, and does the work",
		e.Shard, quote(e.Subscription), e.CurrentEpoch, e.Epoch)
}

// Is matches ErrShardLost.
func (e *ShardLostError) Is(target error) bool { return target == ErrShardLost }

// BeyondLogError says that the log has not reached a position or sequence number, so that it comes from elsewhere.
type BeyondLogError struct {
	// Field is what is beyond the end: position, sequence, sequence of partition n.
	Field string
	// Value is what was asked for.
	Value int64
	// Last is where the log ends.
	Last int64
}

// Error says which value, and where the log ends.
func (e *BeyondLogError) Error() string {
	return fmt.Sprintf("%s %d is beyond the end of the log, which is at %d: a value from another database does not fit this one",
		e.Field, e.Value, e.Last)
}

// Is matches ErrBeyondLog.
func (e *BeyondLogError) Is(target error) bool { return target == ErrBeyondLog }

// HandlerError says that a subscription stopped because its handler failed on an event, and on every further try.
type HandlerError struct {
	// Subscription and Shard say who stopped.
	Subscription string
	Shard        int
	// Event is the event that could not be handled. It has not been left out: the next Run tries it again.
	Event LogEvent
	// Tries is how often it was tried by itself.
	Tries int
	// Err is what the handler returned last, or a *HandlerPanicError.
	Err error
}

// Error names the event, how often it was tried, and the last error.
func (e *HandlerError) Error() string {
	return fmt.Sprintf("subscription %s stopped: its handler failed %d times on the event at position %d (version %d of stream %s): %v; "+
		"mend the handler and run it again, or skip the event with SkipEvent", quote(e.Subscription), e.Tries, e.Event.Position,
		e.Event.Version, quote(string(e.Event.StreamID)), e.Err)
}

// Unwrap gives the handler's error.
func (e *HandlerError) Unwrap() error { return e.Err }

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
