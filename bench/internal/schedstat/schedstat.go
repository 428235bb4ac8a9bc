// Package schedstat reads what the kernel accounts for a process: the time that it spent on a CPU.
package schedstat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrNone says that there are no such accounts.
var ErrNone = errors.New("there is no /proc/self/schedstat: CPU time can be read where PostgreSQL runs on Linux " +
	"with scheduler statistics; a container does on any system")

// Parse takes the first of three numbers: nanoseconds on a CPU. Kernels without the statistics print zeros.
func Parse(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("schedstat: %w", err)
	}
	if ns == 0 {
		return 0, ErrNone
	}
	return time.Duration(ns), nil
}
