package schedstat

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSchedstat(t *testing.T) {
	t.Parallel()
	d, err := Parse("123456 789 10\n")
	require.NoError(t, err)
	require.EqualValues(t, 123456, d)
	_, err = Parse("0 0 0\n")
	require.ErrorIs(t, err, ErrNone)
	_, err = Parse("")
	require.Error(t, err)
}
