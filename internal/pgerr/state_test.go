package pgerr

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatesByCodeAndClass(t *testing.T) {
	t.Parallel()
	for code, want := range map[string][3]bool{
		// retry, away, condition
		"08006": {true, true, true},
		"40001": {true, true, true},
		"53300": {true, true, true},
		"53400": {false, true, false}, // configuration limit exceeded
		"57P04": {false, false, true},
		"57P05": {false, true, true},
		"58P01": {false, true, false}, // undefined file
		"ES006": {true, false, true},
		"ES001": {false, false, false},
		"23505": {false, false, false},
		"0":     {false, false, false},
		"":      {false, false, false},
	} {
		require.Equal(t, want, [3]bool{MayRetry(code), IsAway(code), IsCondition(code)}, code)
	}
	require.Len(t, Conditions(), 20)
	require.NotContains(t, Conditions(), "53")
}
