package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// inWords is what an error says, with what to do in the words of the command line where the library has those of Go.
func inWords(err error) string {
	var conflict *eventstream.VersionConflictError
	var exists *eventstream.StreamExistsError
	var missing *eventstream.StreamMissingError
	var gap *eventstream.GapError
	var handler *subscription.HandlerError
	switch {
	case errors.As(err, &conflict):
		return inPlaceOf(err, conflict, "stream %q is at version %d, expected %d: look at what came with gapless read, then --expect %[2]d, or any",
			conflict.StreamID, conflict.Actual, conflict.Expected)
	case errors.As(err, &exists):
		return inPlaceOf(err, exists, "stream %q is at version %d, expected it to be empty: look at it with gapless read, then --expect %[2]d, or any",
			exists.StreamID, exists.Actual)
	case errors.As(err, &missing):
		return inPlaceOf(err, missing, "stream %q has no events, expected at least one: check its id: gapless streams lists what there is", missing.StreamID)
	case errors.As(err, &gap):
		return inPlaceOf(err, gap, "stream %q has a hole: version %d is missing, while versions up to %d arrived: the missing ones have to come first; "+
			"gapless pending list shows what waits", gap.StreamID, gap.FirstMissing, gap.CurrentVersion)
	case errors.As(err, &handler) && handler.Event.Position > 0:
		return fmt.Sprintf("the event at position %d (version %d of stream %q) was not handled, and stays parked: %v; mend that, or gapless "+
			"subscriptions skip %s --position %[1]d", handler.Event.Position, handler.Event.Version, handler.Event.StreamID, handler.Err,
			handler.Subscription)
	}
	return err.Error()
}

// asFlag is what an error says of a value, with the flag that gave it in place of the field of Go: --limit for StreamFilter.Limit.
func asFlag(err error, invalid *eventstream.InvalidValueError) string {
	if _, field, found := strings.Cut(invalid.Field, "."); found {
		return strings.Replace(err.Error(), invalid.Field, "--"+strings.ToLower(field), 1)
	}
	return err.Error()
}

// distinctLines leaves out lines that were there before: a connection is tried with encryption and without, and fails in the same way.
func distinctLines(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// badFlag says of a flag what its value must be, without the names of functions of Go.
func badFlag(cmd *cobra.Command, err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return usagef("%w: see %s --help", err, cmd.CommandPath())
	}
	must := invalid.Unwrap().Error()
	switch invalid.GetFlag().Value.Type() {
	case "int", "int64", "uint64":
		must = "must be a whole number"
	case "float64":
		must = "must be a number"
	case "duration":
		must = "must be a duration, as 30s or 5m"
	}
	return usagef("--%s %q: %s: see %s --help", invalid.GetFlag().Name, invalid.GetValue(), must, cmd.CommandPath())
}

// inPlaceOf is what an error says, with other words for the part of it that says why.
func inPlaceOf(err, part error, format string, args ...any) string {
	return strings.Replace(err.Error(), part.Error(), fmt.Sprintf(format, args...), 1)
}

// counted is a number of things.
func counted[T int | int64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return output.Int(n) + " " + thing + "s"
}
