package throughput

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProjectPageExplainsEveryCase(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../docs/benchmarks.md")
	require.NoError(t, err)
	for _, name := range names() {
		require.Contains(t, string(content), "| `"+name)
	}
}
