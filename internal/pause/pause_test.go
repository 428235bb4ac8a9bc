package pause_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/pause"
)

func TestAPauseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	require.NoError(t, pause.For(t.Context(), 0))
	require.NoError(t, pause.For(t.Context(), -time.Second))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, pause.For(ctx, time.Hour), context.Canceled)
	require.ErrorIs(t, pause.NewBackoff(time.Hour, time.Hour).Wait(ctx), context.Canceled)
}

func TestAPauseEndsEarlyWhenItIsTold(t *testing.T) {
	t.Parallel()
	soon := make(chan struct{})
	close(soon)
	require.NoError(t, pause.NewBackoff(time.Hour, time.Hour).WaitOr(t.Context(), soon))
	require.NoError(t, pause.NewBackoff(time.Microsecond, time.Hour).WaitOr(t.Context(), nil))
}

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	t.Parallel()
	b := pause.NewBackoff(200*time.Millisecond, 5*time.Second)
	var pauses []time.Duration
	for range 7 {
		pauses = append(pauses, b.Next())
	}
	require.Equal(t, []time.Duration{
		200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond, 3200 * time.Millisecond,
		5 * time.Second, 5 * time.Second,
	}, pauses)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.WaitSince(ended, time.Now()), context.Canceled)
	require.Equal(t, 5*time.Second, b.Next(), "a try that failed at once")
	require.ErrorIs(t, b.WaitSince(ended, time.Now().Add(-time.Minute)), context.Canceled)
	require.Equal(t, 400*time.Millisecond, b.Next(), "after one that lasted")
}
