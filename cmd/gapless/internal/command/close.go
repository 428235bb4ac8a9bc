package command

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// closed is where a stream was closed, as --json has it.
type closed struct {
	Version int64 `json:"version"`
}

func (a *app) closeCommand() *cobra.Command {
	var reason, expect string
	cmd := &cobra.Command{
		Use: "close STREAM", Short: "Close a stream for good", Args: needs(1, 1),
		Long: `Closes a stream for good, by an event of the type $closed that holds the reason: nothing follows it, whoever writes. A stream that is
closed already stays as it is. Prints the version of the event that closed it.`,
		Example: `  gapless close order-1 --reason 'delivered and paid'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("--reason is missing: it says why, and stays in the stream")
			}
			expected, err := parseExpected(expect)
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				if err := a.confirm(cmd.Context(), "this closes stream %q for good", args[0]); err != nil {
					return err
				}
				version, err := repo.CloseStream(cmd.Context(), eventstream.StreamID(args[0]), expected, reason)
				if err != nil {
					return err
				}
				return a.out.Record(closed{version}, [2]string{"version", output.Int(version)})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; required")
	cmd.Flags().StringVar(&expect, "expect", "exists", "what the stream must look like: any, exists, empty, or its version")
	return cmd
}
