package rounds

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachSideComesFirstInTurn(t *testing.T) {
	t.Parallel()
	var order string
	require.NoError(t, InTurn(4, 3, func(round, side int) error {
		order += fmt.Sprint(round, ":", side, " ")
		return nil
	}))
	require.Equal(t, "0:0 0:1 0:2 1:1 1:2 1:0 2:2 2:0 2:1 3:0 3:1 3:2 ", order)
}

func TestAFailureEndsTheRounds(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	calls := 0
	require.ErrorIs(t, InTurn(2, 2, func(int, int) error { calls++; return failed }), failed)
	require.Equal(t, 1, calls)
}
