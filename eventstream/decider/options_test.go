package decider

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The first try after a conflict is at once; then waits grow up to their bound.
func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	o, err := optionsOf(nil)
	require.NoError(t, err)
	require.Zero(t, o.backoff(1))
	require.Equal(t, time.Millisecond, o.backoff(2))
	require.Equal(t, 2*time.Millisecond, o.backoff(3))
	require.Equal(t, 64*time.Millisecond, o.backoff(8))
	for tries := 9; tries <= maxTries; tries++ {
		require.Equal(t, 100*time.Millisecond, o.backoff(tries))
	}
	o, err = optionsOf([]Option{WithBackoff(3*time.Millisecond, 10*time.Millisecond)})
	require.NoError(t, err)
	require.Equal(t, []time.Duration{0, 3e6, 6e6, 10e6, 10e6}, []time.Duration{o.backoff(1), o.backoff(2), o.backoff(3), o.backoff(4), o.backoff(5)})
	o, err = optionsOf([]Option{WithBackoff(0, 0)})
	require.NoError(t, err)
	require.NoError(t, o.wait(t.Context(), 50))
}
