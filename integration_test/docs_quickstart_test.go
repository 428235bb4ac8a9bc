package integration_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program of the quick start, run twice on an empty database, prints what the page says.
func TestQuickstartProgramPrintsWhatThePageSays(t *testing.T) {
	t.Parallel()
	dsn, printed := newDatabase(t), ""
	for range 2 {
		cmd := exec.CommandContext(t.Context(), "go", "run", "../examples/quickstart")
		cmd.Env = append(os.Environ(), "DATABASE_URL="+dsn)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		require.NoError(t, err)
		printed += "    " + string(out)
	}
	shown := regexp.MustCompile(`(?m)(?:^    version .*\n)+`).FindString(readDoc(t, "docs/quickstart.md"))
	require.Equal(t, shown, printed)
}
