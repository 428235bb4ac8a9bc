package cpu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/bench/internal/schedstat"
)

const (
	// readSchedstat gives the accounts of the backend's own process.
	readSchedstat = `SELECT pg_read_file('/proc/self/schedstat', 0, 100)`

	undefinedFile         = "58P01"
	insufficientPrivilege = "42501"
)

// errMayNotRead is for who may not read files of the server.
var errMayNotRead = errors.New("reading the backend's CPU time needs a superuser")

// cpuTime gives the time that the backend behind conn has spent on a CPU. The kernel brings the account up to date when a process waits,
// as a backend does between calls, so reading it adds next to nothing to what is read.
func cpuTime(ctx context.Context, conn *pgx.Conn) (time.Duration, error) {
	var text string
	if err := conn.QueryRow(ctx, readSchedstat).Scan(&text); err != nil {
		return 0, explain(err)
	}
	return schedstat.Parse(text)
}

// explain says what a failure to read means for the user.
func explain(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case undefinedFile:
			return fmt.Errorf("%w (%w)", schedstat.ErrNone, err)
		case insufficientPrivilege:
			return fmt.Errorf("%w (%w)", errMayNotRead, err)
		}
	}
	return fmt.Errorf("reading the backend's CPU time: %w", err)
}
