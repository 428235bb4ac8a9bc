package command

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// archived is how many events were archived, as --json has it.
type archived struct {
	Archived int64 `json:"archived"`
}

func (a *app) archiveCommand() *cobra.Command {
	var before int64
	cmd := &cobra.Command{
		Use: "archive STREAM", Short: "Move old events of a stream to a table for what is rarely read", Args: needs(1, 1),
		Long: `Moves the events of a stream below a version to eventstream.archived_events, which may lie on other disks. The first and the last
event of the stream stay. Readers get archived events as before, in their places. A call that was ended early is made again.`,
		Example: `  gapless archive order-7 --before 1000`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if before == 0 {
				return usagef("--before is missing: events below this version move")
			}
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				if err := a.confirm(cmd.Context(), "this moves the events of stream %q below version %d to the archive, for good", args[0], before); err != nil {
					return err
				}
				result, err := repo.Archive(cmd.Context(), eventstream.StreamID(args[0]), before)
				if err != nil {
					return err
				}
				return a.out.Record(archived{result.Events}, [2]string{"archived", output.Int(result.Events)})
			})
		},
	}
	cmd.Flags().Int64Var(&before, "before", 0, "events below this version move; required")
	return cmd
}
