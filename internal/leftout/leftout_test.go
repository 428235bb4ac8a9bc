package leftout

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoteAddsALineATest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "left-out")
	require.NoError(t, note(path, "TestA/b", errors.New("pgbouncer is not installed:\napt-get install pgbouncer")))
	require.NoError(t, note(path, "TestB", errors.New("no engine")))
	require.NoError(t, note("", "TestC", errors.New("nobody asks")))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "TestA/b: \"pgbouncer is not installed:\\napt-get install pgbouncer\"\nTestB: \"no engine\"\n", string(content))
	require.Error(t, note(t.TempDir(), "TestD", errors.New("a directory")))
}
