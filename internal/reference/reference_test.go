package reference

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page has what the comments of the structs say. After a change: make generate.
func TestConfigPageIsThatOfTheCode(t *testing.T) {
	t.Parallel()
	page, err := Config("../..")
	require.NoError(t, err)
	written, err := os.ReadFile("../../docs/reference-config.md")
	require.NoError(t, err)
	require.Equal(t, page, string(written), "run make generate")
	require.Contains(t, page, "| `Connections` | `int` | Connections is how many connections")
	require.Contains(t, page, "| `MinBackoff`, `MaxBackoff` | `time.Duration` |")
	require.Contains(t, page, "### migrations.Options\n")
}

func TestConfigWantsAComment(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range configured {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	file := filepath.Join(root, "eventstream", "config.go")
	require.NoError(t, os.WriteFile(file, []byte("package eventstream\n\n// Config is.\ntype Config struct{ A int }\n"), 0o600))
	_, err := Config(root)
	require.EqualError(t, err, "field `A` of eventstream.Config has no comment")
	require.NoError(t, os.WriteFile(file, []byte("package eventstream\n\ntype hiddenConfig struct{ A int }\ntype Options struct{ b int }\n"), 0o600))
	page, err := Config(root)
	require.NoError(t, err)
	require.Contains(t, page, "## eventstream\n")
	require.NotContains(t, page, "hidden")
	require.NotContains(t, page, "`b`")
}

func TestArgumentsAreSplitOutsideOfParenthesesAndQuotes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a numeric(3,1)", "b text DEFAULT 'x, y'::text", "c bigint"}, arguments("a numeric(3,1), b text DEFAULT 'x, y'::text, c bigint"))
}

func TestGrantedFunctionsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	design := "`no`\n## Roles\n\ntext `neither`\n| May | Needs |\n|---|---|\n| append | EXECUTE on `append_batch` and `append_event` |\n\n## Next\n| `nor` |\n"
	require.Equal(t, map[string]bool{"append_batch": true, "append_event": true}, grantedFunctions(design))
}
