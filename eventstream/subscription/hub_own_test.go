package subscription

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

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
		nil, eventstream.ErrReadOnly, &eventstream.NotMigratedError{}, &MismatchError{}, &eventstream.BeyondLogError{}, errors.New("anything"),
		code("28P01"), code("3D000"), code("42501"), code("ES011"), code(""), code("5"),
		puddle.ErrClosedPool, &unreachedError{puddle.ErrClosedPool}, &unreachedError{code("3D000")},
		&handlerFailure{err: refused}, &HandlerError{Err: refused}, &handlerFailure{err: code("57P01")},
	} {
		require.False(t, isAway(err), "%v", err)
	}
}
