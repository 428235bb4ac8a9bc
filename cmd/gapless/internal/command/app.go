// Package command is the program gapless: a file for each of its commands.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

// app is what the commands of one call share.
type app struct {
	in      io.Reader
	stdout  io.Writer
	stderr  io.Writer
	out     *output.Printer
	dsn     string
	asJSON  bool
	asTable bool
	yes     bool
}

// Run runs the program with arguments and returns its exit code. Interrupt and SIGTERM end what it does as an error would, so that
// nothing stays half done; a second one ends the program at once.
func Run(args []string, in io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	a := &app{in: in, stdout: stdout, stderr: stderr, out: output.New(stdout)}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil && !isFinding(err) && !errors.Is(err, context.Canceled) {
		err = ctx.Err()
	}
	code, message := judge(err)
	if message != "" {
		fmt.Fprintln(stderr, "gapless:", message)
	}
	return code
}

func isFinding(err error) bool {
	code, message := judge(err)
	return code == exitRefused && message == ""
}

// root is the command without a name, with all others below it.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gapless",
		Short: "Event streams in PostgreSQL without a hole: operate a store from a terminal or a script",
		Long: `gapless operates a Gapless store: it installs the schema, appends and reads events, follows the log, exports and imports
whole stores, audits every promise, and looks after subscriptions.

The database is that of --dsn, else of DATABASE_URL, else of the PG* variables that psql knows.

Exit codes: 0 done; 1 the store refused it, or there are findings; 2 the command line or its input is wrong; 3 the database
does not answer; 130 interrupted. Errors are one line on standard error.`,
		Example: `  export DATABASE_URL=postgres://postgres@localhost/app
  gapless migrate up
  gapless append order-1 order.placed '{"total": 42}' --expect empty
  gapless read order-1
  gapless log --follow`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.out.JSON = a.asJSON
			a.out.Table = a.out.Table || a.asTable
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(badFlag)
	flags := root.PersistentFlags()
	flags.StringVar(&a.dsn, "dsn", "", "connection string of the database, as postgres://user@host/name (default: DATABASE_URL, else PG*)")
	flags.BoolVar(&a.asJSON, "json", false, "print a JSON object a line")
	flags.BoolVar(&a.asTable, "table", false, "print tables with headings even where the output is no terminal")
	flags.BoolVarP(&a.yes, "yes", "y", false, "answer yes to what would be asked")
	root.AddCommand(
		a.migrateCommand(), a.appendCommand(), a.readCommand(), a.logCommand(), a.streamsCommand(), a.statsCommand(), a.auditCommand(),
		a.exportCommand(), a.importCommand(), a.subscriptionsCommand(), a.projectionsCommand(), a.timersCommand(), a.pendingCommand(), a.doctorCommand(),
		a.indexCommand(), a.metricsCommand(), a.sealCommand(), a.demoCommand(), a.benchCommand(), a.inspectCommand(), a.eraseCommand(), a.archiveCommand(),
		a.closeCommand(),
	)
	return root
}

// group is a command that has others below it and does nothing by itself.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// noArgs refuses arguments; those of a group are commands that there are not.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		return usagef("unknown command %q for %q: see %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
	}
	return usagef("%s takes no argument, and got %q: see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
}

// needs refuses another number of arguments than from least to most.
func needs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("%s got %s: the form is %s", cmd.CommandPath(), counted(len(args), "argument"), cmd.UseLine())
		}
		return nil
	}
}
