package eventstream

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The numbers are those that the comment on eventstream.append_batch promises.
func TestExpectedTravelsAsTheNumberThatTheDatabaseKnows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expected Expected
		wire     int64
		text     string
	}{
		{Any, -1, "any"},
		{Exists, -2, "exists"},
		{Empty, -3, "empty"},
		{Exact(0), 0, "exact(0)"},
		{Exact(5), 5, "exact(5)"},
		{Exact(math.MaxInt64), math.MaxInt64, "exact(9223372036854775807)"},
	} {
		wire, err := expectedWire(c.expected)
		require.NoError(t, err)
		require.Equal(t, c.wire, wire)
		require.Equal(t, c.text, c.expected.String())
	}
}

func TestExpectedThatNoStreamCanMeetIsRefused(t *testing.T) {
	t.Parallel()
	for _, e := range []Expected{Exact(-1), Exact(-2), Exact(-3), Exact(math.MinInt64), Any + 1, Empty - 1, nil} {
		_, err := expectedWire(e)
		require.ErrorIs(t, err, ErrInvalidValue, "%v", e)
	}
	require.Equal(t, "invalid(0)", (Any + 1).String())
	require.NotEqual(t, Expected(Any), Exact(-1))
}
