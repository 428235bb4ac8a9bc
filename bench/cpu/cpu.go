package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// readSchedstat gives the accounts of the backend's own process.
	readSchedstat = `SELECT pg_read_file('/proc/self/schedstat', 0, 100)`

	undefinedFile         = "58P01"
	insufficientPrivilege = "42501"
)

// Errors of reading CPU time.
var (
	errNoSchedstat = errors.New("the server has no /proc/self/schedstat: CPU time can be read where PostgreSQL runs on Linux " +
		"with scheduler statistics; a container does on any system")
	errMayNotRead = errors.New("reading the backend's CPU time needs a superuser")
)

// cpuTime gives the time that the backend behind conn has spent on a CPU. The kernel brings the account up to date when a process waits,
// as a backend does between calls, so reading it adds next to nothing to what is read.
func cpuTime(ctx context.Context, conn *pgx.Conn) (time.Duration, error) {
	var text string
	if err := conn.QueryRow(ctx, readSchedstat).Scan(&text); err != nil {
		return 0, explain(err)
	}
	return parseSchedstat(text)
}

// explain says what a failure to read means for the user.
func explain(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case undefinedFile:
			return fmt.Errorf("%w (%w)", errNoSchedstat, err)
		case insufficientPrivilege:
			return fmt.Errorf("%w (%w)", errMayNotRead, err)
		}
	}
	return fmt.Errorf("reading the backend's CPU time: %w", err)
}

// parseSchedstat takes the first of three numbers: nanoseconds on a CPU. Kernels without the statistics print zeros.
func parseSchedstat(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/self/schedstat: %w", err)
	}
	if ns == 0 {
		return 0, errNoSchedstat
	}
	return time.Duration(ns), nil
}
