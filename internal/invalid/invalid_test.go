package invalid

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/shown"
)

func TestInvalidValuesAreShort(t *testing.T) {
	t.Parallel()
	err := Value("payload", strings.Repeat("é", 1000), "short")
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.LessOrEqual(t, len(err.Value), shown.MaxBytes)
	require.Less(t, len(err.Error()), 3*shown.MaxBytes)
	require.Equal(t, "abc", Value("payload", "abc", "short").Value)
}

func TestInvalidBoundsAreInside(t *testing.T) {
	t.Parallel()
	for value, valid := range map[int]bool{0: false, 1: true, 7: true, 8: false} {
		require.Equal(t, valid, Range("n", value, 1, 7) == nil, value)
		require.Equal(t, valid, Duration("d", time.Duration(value)*time.Second, time.Second, 7*time.Second) == nil, value)
	}
	require.EqualError(t, Range("n", 8, 1, 7), `invalid n "8": must be from 1 to 7, or 0 for the default`)
	require.EqualError(t, Duration("d", 0, time.Second, time.Minute), `invalid d "0s": must be from 1s to 1m0s, or 0 for the default`)
}
