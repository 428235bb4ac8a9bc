package command

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// What went wrong is said with what to do, in the words of the command line.
func TestMessagesSayWhatToDo(t *testing.T) {
	t.Parallel()
	copied := &pgconn.PgError{Severity: "ERROR", Code: noCopy, Message: "COPY FROM not supported with row-level security", Hint: "Use INSERT statements instead."}
	twice := "failed to connect to `user=a`:\n\t127.0.0.1:1: refused\n\t127.0.0.1:1: refused"
	for _, c := range []struct {
		err     error
		code    int
		message string
	}{
		{importFailed(eventstream.ImportResult{}, copied), exitRefused, "0 events imported, 0 were there: ERROR: COPY FROM not supported with row-level security " +
			"(SQLSTATE 0A000): connect as the owner of the tables, or as a role with BYPASSRLS, as docs/operations-roles.md has it"},
		{
			importFailed(eventstream.ImportResult{Imported: 1}, context.Canceled), exitInterrupted,
			"interrupted: 1 event imported, 0 were there; import the same again, which goes on from there",
		},
		{
			&eventstream.AppendCanceledError{StreamID: "a", Sent: true, Err: context.Canceled}, exitInterrupted,
			"interrupted: whether the event was appended is not known: gapless read shows it; one with an --id of yours can be sent again",
		},
		{&eventstream.AppendCanceledError{StreamID: "a", Err: context.Canceled}, exitInterrupted, "interrupted: what was not confirmed is not done"},
		{&eventstream.InvalidValueError{Field: "StreamFilter.Limit", Value: "-1", Rule: "0 or more"}, exitUsage, `invalid --limit "-1": must be 0 or more`},
		{&eventstream.InvalidValueError{Field: "tenant_id", Value: " ", Rule: "a word"}, exitUsage, `invalid tenant_id " ": must be a word`},
		{fmt.Errorf("line 2: %w", &eventstream.GapError{StreamID: "a", FirstMissing: 2, CurrentVersion: 3}), exitRefused, `line 2: stream "a" has a hole: version 2 is ` +
			"missing, while versions up to 3 arrived: the missing ones have to come first; gapless pending list shows what waits"},
		{
			fmt.Errorf("%w: --read-only needs less", &pgconn.PgError{Severity: "ERROR", Code: notAllowed, Message: "permission denied for function f"}), exitRefused,
			"permission denied for function f: --read-only needs less",
		},
		{&eventstream.StreamMissingError{StreamID: "a"}, exitRefused, `stream "a" has no events, expected at least one: check its id: gapless streams lists what there is`},
		{&subscription.HandlerError{
			Subscription: "mailer", Event: eventstream.LogEvent{Event: eventstream.Event{StreamID: "a", Version: 1, Position: 7}},
			Err: fmt.Errorf("550"),
		}, exitRefused, `the event at position 7 (version 1 of stream "a") was not handled, and stays parked: 550; mend that, or gapless ` +
			"subscriptions skip mailer --position 7"},
	} {
		code, message := judge(c.err)
		require.Equal(t, c.code, code, "%v", c.err)
		require.Equal(t, c.message, message)
	}
	require.Equal(t, "failed to connect to `user=a`:\n127.0.0.1:1: refused", distinctLines(twice))
}
