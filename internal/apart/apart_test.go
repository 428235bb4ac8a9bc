package apart_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/apart"
)

func TestPositionsAreReadAsTheDatabaseGivesThem(t *testing.T) {
	t.Parallel()
	got, err := apart.Parse([]byte(`{"3": 70, "31": 9007199254740993}`))
	require.NoError(t, err)
	require.Equal(t, apart.Positions{3: 70, 31: 1<<53 + 1}, got)
	require.True(t, got.Passed(3, 70))
	require.False(t, got.Passed(3, 71))
	require.False(t, got.Passed(4, 1), "a partition that is no further than the rest")

	got, err = apart.Parse([]byte(`{}`))
	require.NoError(t, err)
	require.Nil(t, got)
	for _, text := range []string{`{"x": 1}`, `[]`, ``} {
		_, err = apart.Parse([]byte(text))
		require.Error(t, err, text)
	}
}
