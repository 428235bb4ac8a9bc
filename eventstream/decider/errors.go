package decider

import (
	"fmt"

	"github.com/gaplesspg/gapless/eventstream"
)

// TriesError says that a command was decided as often as it may be (WithTries), and other writers were faster each time. Nothing was written.
type TriesError struct {
	// Tries is how often it was decided.
	Tries int
	// Err is what the last append was refused with, most often a *eventstream.VersionConflictError.
	Err error
}

// Error says how many tries there were, and how the last one ended.
func (e *TriesError) Error() string {
	return fmt.Sprintf("gave up after %d tries, nothing was written: %v: handle the command again later, or allow more with WithTries", e.Tries, e.Err)
}

// Unwrap gives the last refusal.
func (e *TriesError) Unwrap() error { return e.Err }

// EvolveError says that Evolve has refused an event.
type EvolveError struct {
	// Event is the event that was refused.
	Event eventstream.Event
	// Appended says that Handle has just appended it: the command is carried out, and the stream cannot be loaded until Evolve takes the event.
	Appended bool
	// Err is what Evolve returned.
	Err error
}

// Error names the event.
func (e *EvolveError) Error() string {
	appended := ""
	if e.Appended {
		appended = ", which was just appended"
	}
	return fmt.Sprintf("cannot evolve with event %s (%s, version %d of stream %q)%s: %v",
		e.Event.ID, e.Event.Type, e.Event.Version, e.Event.StreamID, appended, e.Err)
}

// Unwrap gives what Evolve returned.
func (e *EvolveError) Unwrap() error { return e.Err }
