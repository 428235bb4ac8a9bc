// Package invalid makes the errors for what packages that stand on eventstream are given and cannot take.
package invalid

import (
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/shown"
)

// LongestTimeout is what PostgreSQL can keep of milliseconds.
const LongestTimeout = (1<<31 - 1) * time.Millisecond

// Value is the error for a value that breaks a rule. A long value is shortened: it may be a whole payload, and errors end up in logs.
func Value(field, value, rule string) *eventstream.InvalidValueError {
	return &eventstream.InvalidValueError{Field: field, Value: shown.Short(value), Rule: rule}
}

// Range refuses a number out of bounds.
func Range(field string, value, lowest, highest int) error {
	if value < lowest || value > highest {
		return Value(field, strconv.Itoa(value), "from "+strconv.Itoa(lowest)+" to "+strconv.Itoa(highest)+", or 0 for the default")
	}
	return nil
}

// Duration refuses a duration out of bounds.
func Duration(field string, value, shortest, longest time.Duration) error {
	if value < shortest || value > longest {
		return Value(field, value.String(), "from "+shortest.String()+" to "+longest.String()+", or 0 for the default")
	}
	return nil
}
