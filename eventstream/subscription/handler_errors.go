package subscription

import (
	"errors"
	"fmt"
	"time"
)

// Permanent marks an error of a handler as one that no further try can cure: the event is parked, or the subscription stops, at once
// (Config.OnFailure). Of a batch, the event at fault is looked for first, unless HandledFirst names it. Nil stays nil. errors.Is
// and errors.As see the error as if it were not marked.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &markedError{err: err, permanent: true}
}

// RetryAfter marks an error of a handler as one that says nothing against the event: a service is down, a quota is used up. It does not
// count as a try, and the same events come again after d; 0 or less means the usual pause. Nil stays nil. errors.Is and errors.As see
// the error as if it were not marked.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &markedError{err: err, after: d}
}

// markedError is what a handler says about its own error; of several marks the outermost counts.
type markedError struct {
	err       error
	permanent bool
	after     time.Duration
}

func (e *markedError) Error() string { return e.err.Error() }
func (e *markedError) Unwrap() error { return e.err }

// HandledFirst says that a handler got through the first n events of its batch, and then met err on the next one: an EffectHandler
// returns it, an AsyncHandler acknowledges with it. The checkpoint moves over these n events, so that they do not come again, and the event
// after them is tried by itself. With a nil err the rest of the batch comes again, and nothing has failed. A TxHandler may return it
// too: the batch is rolled back and divided there.
//
// An n that does not fit the batch, or 0 with a nil err, is a failure of the whole batch.
func HandledFirst(n int, err error) error { return &partialError{n: n, err: err} }

type partialError struct {
	n   int
	err error
}

func (e *partialError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("handler stopped after the first %d events of its batch", e.n)
	}
	return e.err.Error()
}

func (e *partialError) Unwrap() error { return e.err }

// errNothingHandled is the failure of a handler that says that it came nowhere, but not why.
var errNothingHandled = errors.New("handler handled none of its events and gave no error: HandledFirst(0, nil)")

// partOf says how many of the events that a handler got it has handled, and what it failed on after them: nil if nothing, and known is false
// if it does not say, or what it says does not fit.
func partOf(err error, got int) (n int, cause error, known bool) {
	var part *partialError
	switch {
	case !errors.As(err, &part):
		return 0, err, false
	case part.n < 0 || part.n > got || part.n == got && part.err != nil:
		return 0, fmt.Errorf("HandledFirst(%d) of a batch of %d events: %w", part.n, got, err), false
	case part.n == 0 && part.err == nil:
		return 0, errNothingHandled, false
	case part.err == nil:
		return part.n, nil, true
	}
	// What was said around it counts too: Permanent(HandledFirst(...)).
	return part.n, err, true
}
