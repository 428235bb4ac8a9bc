package process

import (
	"errors"
	"fmt"

	"github.com/gaplesspg/gapless/internal/shown"
)

// ErrNoTimers says that a process without Process.OnTimer sets a timer, which nobody would handle.
var ErrNoTimers = errors.New("process has no OnTimer: give it one, or set no timers")

// TimerError says that the handler of a timer failed, or that its payload could not be decoded.
type TimerError struct {
	// Timer is the timer.
	Timer Timer
	// Tries is how often its handler failed on it, as far as that counts; Parked says that it was put aside, until Retry.
	Tries  int
	Parked bool
	// Err is what the handler returned, or a *PanicError.
	Err error
}

// Error names the timer, and what became of it.
func (e *TimerError) Error() string {
	after := "it is tried again"
	if e.Parked {
		after = fmt.Sprintf("parked after %d tries: mend the handler, and let it be tried again with Retry", e.Tries)
	}
	return fmt.Sprintf("timer %s of %s, process %s, failed: %v; %s",
		shown.Quote(e.Timer.Name), shown.Quote(e.Timer.Key), shown.Quote(e.Timer.Process), e.Err, after)
}

// Unwrap gives the handler's error.
func (e *TimerError) Unwrap() error { return e.Err }

// PanicError is the error of a handler that panicked.
type PanicError struct {
	// Value is what it panicked with, and Stack where.
	Value any
	Stack []byte
}

// Error says what the handler panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v\n%s", e.Value, e.Stack) }

// handlerError marks an error of the user's code: it is no condition of ours.
type handlerError struct {
	err error
	// lost says that the connection of the transaction that the handler was given is gone.
	lost bool
}

func (e *handlerError) Error() string { return e.err.Error() }
func (e *handlerError) Unwrap() error { return e.err }
