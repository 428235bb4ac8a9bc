package eventstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"github.com/stretchr/testify/require"
)

func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	b := newBackoff()
	var pauses []time.Duration
	for range 7 {
		pauses = append(pauses, b.next)
		require.ErrorIs(t, b.wait(ended), context.Canceled)
	}
	require.Equal(t, []time.Duration{
		200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond, 3200 * time.Millisecond,
		5 * time.Second, 5 * time.Second,
	}, pauses)
}

// What Run waits for, and what it returns.
func TestWhatIsAway(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	code := func(code string) error { return fmt.Errorf("failed: %w", &pgconn.PgError{Code: code}) }
	for _, err := range []error{
		refused, io.ErrUnexpectedEOF, &unreachedError{errors.New("the hook has no token")}, &unreachedError{context.DeadlineExceeded},
		code("08006"), code("53300"), code("57P01"), code("57P03"), code("58030"), code("40001"),
	} {
		require.True(t, isAway(err), "%v", err)
	}
	for _, err := range []error{
		nil, ErrReadOnly, &NotMigratedError{}, &SubscriptionMismatchError{}, &BeyondLogError{}, errors.New("anything"),
		code("28P01"), code("3D000"), code("42501"), code("ES011"), code(""), code("5"),
		puddle.ErrClosedPool, &unreachedError{puddle.ErrClosedPool}, &unreachedError{code("3D000")},
		&handlerFailure{err: refused}, &HandlerError{Err: refused}, &handlerFailure{err: code("57P01")},
	} {
		require.False(t, isAway(err), "%v", err)
	}
}
