package integration_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// own are the packages of this module that come along with the core.
const own = "github.com/gaplesspg/gapless"

// What a program builds that imports a package is printed in docs/modelling.md.
func TestDependenciesAreTheOnesThatTheDocsPrint(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(readDoc(t, "docs/modelling.md"), "\n## What comes along\n")
	require.True(t, found)
	var printed []string
	for _, line := range strings.Split(section, "\n") {
		if name, is := strings.CutPrefix(line, "    "); is {
			printed = append(printed, name)
		}
		if strings.HasPrefix(line, "## ") {
			break
		}
	}
	require.NotEmpty(t, printed)
	for _, name := range []string{"eventstream", "eventstream/codec"} {
		require.Equal(t, printed, builtOf(t, name, `{{with .Module}}{{if ne .Path "`+own+`"}}{{.Path}}{{end}}{{end}}`), name)
	}
	for _, name := range builtOf(t, "eventstream", `{{with .Module}}{{if eq .Path "`+own+`"}}{{$.ImportPath}}{{end}}{{end}}`) {
		require.Regexp(t, "^"+own+"/(db|eventstream|internal/[a-z]+)$", name)
		require.NotContains(t, name, "internal/pgserver")
	}
	// The store in memory and the suite need no more than codec does.
	require.Equal(t, printed, builtOf(t, "eventstream/eventstreamtest", `{{with .Module}}{{if ne .Path "`+own+`"}}{{.Path}}{{end}}{{end}}`))
}

// builtOf is what go list prints of a package and all that it is built of, each line once.
func builtOf(t *testing.T, name, format string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, "../"+name).Output()
	require.NoError(t, err)
	lines := strings.Fields(string(out))
	slices.Sort(lines)
	return slices.Compact(lines)
}
