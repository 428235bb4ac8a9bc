package subscription

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgerr"
)

// failed is a way for a handler to fail.
type failed struct {
	err  error
	lost bool
}

// otherFailures are the rows of the table that name no SQLSTATE, by what they have between backticks.
func otherFailures(own, other *pgconn.Config) map[string]failed {
	dead := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	return map[string]failed{
		"Permanent(err)":           {err: fmt.Errorf("outer: %w", Permanent(io.EOF))},
		"RetryAfter(err, d)":       {err: fmt.Errorf("outer: %w", RetryAfter(errors.New("quota"), time.Second))},
		"*pgconn.ConnectError":     {err: &pgconn.ConnectError{Config: own}},
		"tx":                       {err: io.ErrUnexpectedEOF, lost: true},
		"ErrTxIdle":                {err: fmt.Errorf("%w: %w", ErrTxIdle, io.ErrUnexpectedEOF), lost: true},
		"ErrHandlerTimeout":        {err: fmt.Errorf("%w: %w", ErrHandlerTimeout, context.DeadlineExceeded), lost: true},
		"*HandlerPanicError":       {err: &HandlerPanicError{Value: "boom"}},
		"io.EOF":                   {err: fmt.Errorf("decoding: %w", io.EOF)},
		"fs.ErrNotExist":           {err: &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}},
		"net.Error":                {err: dead},
		"context.DeadlineExceeded": {err: context.DeadlineExceeded, lost: true},
		"another database":         {err: &pgconn.ConnectError{Config: other}},
		"anything else":            {err: errors.New("anything else")},
	}
}

var (
	verdictRow = regexp.MustCompile("^\\| .*?`([^`]+)`.* \\| ([^|]+) \\|$")
	sqlState   = regexp.MustCompile(`^[0-9A-Z]{2}([0-9A-Z]{3})?$`)
)

// The table of the documentation is what the code does, row by row, and leaves nothing out that the code knows.
func TestWhatCountsAsATryIsInTheDocumentation(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://user@db.example:5433/store")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	h := &hub{pool: pool}
	own, err := pgconn.ParseConfig("postgres://someone@db.example:5433/store")
	require.NoError(t, err)
	other, err := pgconn.ParseConfig("postgres://user@db.example:5433/other")
	require.NoError(t, err)
	others := otherFailures(own, other)

	text, err := os.ReadFile("../../docs/subscriptions.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "\n### What counts as a try\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n### ")
	seen := map[string]bool{}
	for line := range strings.Lines(table) {
		row := verdictRow.FindStringSubmatch(strings.TrimSpace(line))
		if row == nil {
			continue
		}
		name, answer := strings.TrimPrefix(row[1], "subscription."), row[2]
		require.False(t, seen[name], "%s is in the table twice", name)
		seen[name] = true
		f, known := others[name]
		if !known {
			require.Regexp(t, sqlState, name, "a row that the test does not know")
			code := name
			if len(code) == 2 {
				code += "999"
			}
			f = failed{err: fmt.Errorf("outer: %w", &pgconn.PgError{Code: code})}
		}
		v := judge(f.err, f.lost, h.isOwn)
		want := map[bool]string{true: "yes", false: "no"}[v.counts]
		if v.permanent {
			want = "ends it at once"
		}
		require.Equal(t, want, answer, name)
	}
	for name := range others {
		require.True(t, seen[name], "%s is not in the table", name)
	}
	for _, code := range pgerr.Conditions() {
		require.True(t, seen[code], "%s is not in the table", code)
	}
}

// Marks leave the error what it is, and the outermost of several counts.
func TestMarkedErrors(t *testing.T) {
	t.Parallel()
	require.NoError(t, Permanent(nil))
	require.NoError(t, RetryAfter(nil, time.Hour))
	cause := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}
	for _, err := range []error{
		Permanent(cause), RetryAfter(cause, 0), HandledFirst(3, cause), Permanent(HandledFirst(3, cause)), HandledFirst(3, Permanent(cause)),
	} {
		var is *fs.PathError
		require.ErrorAs(t, err, &is)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, cause.Error(), err.Error())
	}
	none := func(*pgconn.Config) bool { return false }
	for want, err := range map[verdict]error{
		{permanent: true, counts: true}:   Permanent(RetryAfter(cause, time.Hour)),
		{asked: true, after: time.Hour}:   RetryAfter(Permanent(cause), time.Hour),
		{asked: true}:                     errors.Join(errors.New("first"), RetryAfter(cause, 0)),
		{asked: true, after: time.Minute}: HandledFirst(2, RetryAfter(cause, time.Minute)),
		{counts: true}:                    HandledFirst(2, cause),
		{}:                                &pgconn.PgError{Code: "53100"},
	} {
		require.Equal(t, want, judge(err, false, none))
	}
	ended := &pgconn.PgError{Code: "XX000", SeverityUnlocalized: "FATAL"}
	require.False(t, judge(ended, true, none).counts, "the server ended the connection")
	require.True(t, judge(ended, false, none).counts, "another connection than the one that the handler was given")
}

// How far a handler came is believed where it can be.
func TestPartOf(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for _, c := range []struct {
		err   error
		n     int
		is    error
		known bool
	}{
		{cause, 0, cause, false},
		{HandledFirst(0, cause), 0, cause, true},
		{HandledFirst(4, cause), 4, cause, true},
		{fmt.Errorf("outer: %w", HandledFirst(4, cause)), 4, cause, true},
		{HandledFirst(3, nil), 3, nil, true},
		{HandledFirst(0, nil), 0, errNothingHandled, false},
		{HandledFirst(5, cause), 0, cause, false},
		{HandledFirst(6, nil), 0, nil, false},
		{HandledFirst(-1, cause), 0, cause, false},
		{HandledFirst(1, HandledFirst(3, cause)), 1, cause, true},
	} {
		n, is, known := partOf(c.err, 5)
		require.Equal(t, []any{c.n, c.known}, []any{n, known}, c.err)
		if c.is != nil {
			require.ErrorIs(t, is, c.is)
		}
		require.Equal(t, c.known && c.is == nil, is == nil)
	}
	require.NoError(t, complete(HandledFirst(5, nil), 5))
	require.NoError(t, complete(nil, 5))
	require.Error(t, complete(HandledFirst(4, nil), 5))
	require.Error(t, complete(HandledFirst(5, cause), 5))
}

func TestEachEvent(t *testing.T) {
	t.Parallel()
	require.True(t, EachEvent(nil).isNil())
	events := make([]eventstream.LogEvent, 5)
	for i := range events {
		events[i].Position = int64(i + 1)
	}
	handle := func(ctx context.Context, fail func(e eventstream.LogEvent) error) (int, error, bool) {
		return partOf(EachEvent(func(_ context.Context, e eventstream.LogEvent) error { return fail(e) })(ctx, events), len(events))
	}
	cause := errors.New("cause")
	n, err, known := handle(t.Context(), func(e eventstream.LogEvent) error {
		if e.Position == 4 {
			return Permanent(cause)
		}
		return nil
	})
	require.Equal(t, []any{3, true}, []any{n, known})
	require.ErrorIs(t, err, cause)
	require.True(t, judge(err, false, nil).permanent)

	n, err, _ = handle(t.Context(), func(e eventstream.LogEvent) error {
		if e.Position == 3 {
			panic("boom")
		}
		return nil
	})
	var panicked *HandlerPanicError
	require.Equal(t, 2, n)
	require.ErrorAs(t, err, &panicked)

	ctx, cancel := context.WithCancel(t.Context())
	n, err, _ = handle(ctx, func(e eventstream.LogEvent) error {
		if e.Position == 2 {
			cancel()
		}
		return nil
	})
	require.Equal(t, 2, n, "an event that is begun is ended")
	require.ErrorIs(t, err, context.Canceled)
}
