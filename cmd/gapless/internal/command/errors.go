package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/foreign"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/ndjson"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

// Exit codes, as docs/command.md has them.
const (
	exitDone        = 0
	exitRefused     = 1
	exitUsage       = 2
	exitAway        = 3
	exitInterrupted = 130
)

// errFindings ends a command that has printed what it found.
var errFindings = errors.New("findings")

// usageError says that the command line or its input is wrong.
type usageError struct{ error }

// Unwrap gives what is wrong.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// judge says with which code a command ends, and what it has to say: one line, with what to do.
func judge(err error) (code int, message string) {
	var usage usageError
	var invalid *eventstream.InvalidValueError
	var badLine *ndjson.LineError
	var truncated *ndjson.TruncatedError
	var refusedEvent *foreign.Refused
	switch {
	case err == nil:
		return exitDone, ""
	case errors.Is(err, errFindings):
		return exitRefused, ""
	case errors.Is(err, context.Canceled):
		return exitInterrupted, interrupted(err)
	case errors.As(err, &refusedEvent):
		return exitRefused, oneLine(err.Error())
	case errors.As(err, &invalid):
		return exitUsage, oneLine(asFlag(err, invalid))
	case errors.As(err, &usage), errors.As(err, &badLine), errors.As(err, &truncated):
		return exitUsage, oneLine(err.Error())
	case isAway(err):
		return exitAway, oneLine(away(err)) + ": " + awayAdvice(err)
	}
	return exitRefused, oneLine(refused(err))
}

// stoppedError says how far a command came that was interrupted.
type stoppedError struct{ so string }

// Error says that.
func (e *stoppedError) Error() string { return e.so }

// Unwrap gives context.Canceled.
func (*stoppedError) Unwrap() error { return context.Canceled }

func stopped(format string, args ...any) error { return &stoppedError{fmt.Sprintf(format, args...)} }

// interrupted says how far the command came, if that is known.
func interrupted(err error) string {
	so := "what was not confirmed is not done"
	var stop *stoppedError
	var unsure *eventstream.AppendCanceledError
	switch {
	case errors.As(err, &stop):
		so = stop.so
	case errors.As(err, &unsure) && unsure.Sent:
		so = "whether the event was appended is not known: gapless read shows it; one with an --id of yours can be sent again"
	}
	return oneLine("interrupted: " + so)
}

// undefined are SQLSTATEs of a schema, table, function or column that is not there.
var undefined = []string{"3F000", "42P01", "42883", "42703"}

// notAllowed is the SQLSTATE of a right that is missing.
const notAllowed = "42501"

// refused says why a store did not do something, and what to do.
func refused(err error) string {
	var older *eventstream.NotMigratedError
	var newer *migrations.DatabaseNewerError
	var cause *pgconn.PgError
	switch {
	case errors.As(err, &older), errors.As(err, &cause) && slices.Contains(undefined, cause.Code):
		return "schema eventstream is missing, or older than this command: gapless migrate up"
	case errors.As(err, &newer):
		return newer.Error()
	case errors.As(err, &cause) && cause.Code == notAllowed && !strings.HasSuffix(err.Error(), cause.Error()):
		return inPlaceOf(err, cause, "%s", cause.Message)
	case errors.As(err, &cause) && cause.Code == notAllowed:
		return cause.Message + ": connect as a role that may, or grant it what docs/operations-roles.md says"
	case errors.As(err, &cause) && cause.Hint != "" && strings.HasSuffix(err.Error(), cause.Error()):
		return cause.Message + ": " + cause.Hint
	}
	return inWords(err)
}

// isAway says that nobody answers, or not any more.
func isAway(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	var cause *pgconn.PgError
	if errors.As(err, &cause) && !errors.As(err, &connect) {
		return strings.HasPrefix(cause.Code, "08") || strings.HasPrefix(cause.Code, "57P") || cause.Code == "53300"
	}
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// away says why a connection could not be had: what the server said, without what was tried before that.
func away(err error) string {
	if cause, ok := errors.AsType[*pgconn.PgError](err); ok {
		return cause.Message
	}
	return distinctLines(err.Error())
}

// awayAdvice says what to look at where a connection could not be had.
func awayAdvice(err error) string {
	var cause *pgconn.PgError
	switch {
	case errors.As(err, &cause) && strings.HasPrefix(cause.Code, "28"):
		return "check user and password of --dsn, DATABASE_URL or the PG* variables"
	case errors.As(err, &cause) && cause.Code == "3D000":
		return "create the database, or name another one in --dsn, DATABASE_URL or the PG* variables"
	}
	return "is the database up? See --dsn, DATABASE_URL and the PG* variables"
}

// maxMessage bounds a message in bytes: it may hold what a server or a handler said.
const maxMessage = 2000

// oneLine makes one line of what may be several.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "..."
	}
	return text
}
