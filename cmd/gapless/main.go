// Command gapless operates a Gapless store from a terminal or a script: it migrates, appends, reads, follows, exports, imports, audits,
// and looks after subscriptions. docs/command.md is its manual.
package main

import (
	"os"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/command"
)

func main() {
	os.Exit(run())
}

func run() int {
	return command.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
