package unset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsNil(t *testing.T) {
	t.Parallel()
	require.True(t, IsNil(nil))
	require.True(t, IsNil((*int)(nil)))
	require.True(t, IsNil(error(nil)))
	require.False(t, IsNil(new(int)))
	require.False(t, IsNil(0))
	require.False(t, IsNil([]int(nil)), "only pointers are meant")
}

func TestDefault(t *testing.T) {
	t.Parallel()
	unset, given := 0, 7
	Default(&unset, 3)
	Default(&given, 3)
	require.Equal(t, []int{3, 7}, []int{unset, given})
}
