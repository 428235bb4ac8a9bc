package integration_test

import (
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// longForm says that tests take their long form, as make torture wants them: GAPLESS_TEST_LONG.
func longForm() bool { return os.Getenv("GAPLESS_TEST_LONG") != "" }

// hammerTime is how long a hammer strikes: five seconds, or two minutes in the long form. The exact steps are tested in races_test.go.
func hammerTime() time.Duration {
	if longForm() {
		return 2 * time.Minute
	}
	return 5 * time.Second
}

// hammering says whether a hammer goes on: for hammerTime, and until it has met all that it is about, however slow the machine is.
func hammering(met ...*atomic.Int64) func() bool {
	end := time.Now().Add(hammerTime())
	return func() bool {
		return time.Now().Before(end) || slices.ContainsFunc(met, func(n *atomic.Int64) bool { return n.Load() == 0 })
	}
}

// oneGoroutine leaves a test out of the run with the race detector, which is a short one (make test-race): it takes long, and has nothing to
// race with.
func oneGoroutine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long, and nothing in it runs at the same time: make test runs it")
	}
}
