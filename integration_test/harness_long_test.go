package integration_test

import (
	"os"
	"testing"
	"time"
)

// longForm says that tests take their long form, as make torture wants them: GAPLESS_TEST_LONG.
func longForm() bool { return os.Getenv("GAPLESS_TEST_LONG") != "" }

// hammerTime is how long a hammer strikes at most: ten seconds, or two minutes in the long form. The exact steps are tested in races_test.go.
func hammerTime() time.Duration {
	if longForm() {
		return 2 * time.Minute
	}
	return 10 * time.Second
}

// oneGoroutine leaves a test out of the run with the race detector, which is a short one (make test-race): it takes long, and has nothing to
// race with.
func oneGoroutine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long, and nothing in it runs at the same time: make test runs it")
	}
}
