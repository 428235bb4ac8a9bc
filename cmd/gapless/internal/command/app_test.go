package command

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// Every command says in its help what it does, with examples that begin with the program.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &out}
	commands := 0
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			visit(below)
		}
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.Greater(t, len(cmd.Long), len("x"), cmd.CommandPath())
		if cmd.HasSubCommands() {
			return
		}
		commands++
		require.Contains(t, cmd.Example, strings.Join(strings.Fields(cmd.CommandPath()), " "), cmd.CommandPath())
	}
	root := a.root()
	visit(root)
	require.Greater(t, commands, 20)
}

func TestMessagesAreOneLine(t *testing.T) {
	t.Parallel()
	code, message := judge(errors.New("a\nb\r\n\tc " + strings.Repeat("é", maxMessage)))
	require.Equal(t, exitRefused, code)
	require.True(t, strings.HasPrefix(message, "a b c é"))
	require.NotContains(t, message, "\n")
	require.LessOrEqual(t, len(message), maxMessage+len("..."))
}
