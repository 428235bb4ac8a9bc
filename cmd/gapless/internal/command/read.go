package command

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/eventstream"
)

func (a *app) readCommand() *cobra.Command {
	var opts eventstream.ReadOptions
	cmd := &cobra.Command{
		Use: "read STREAM", Short: "Print the events of a stream", Args: needs(1, 1),
		Long: `Prints the events of a stream in order of their versions. With --json each is a line that gapless import takes.`,
		Example: `  gapless read order-1
  gapless read order-1 --backwards --limit 1 --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				list := a.out.List(eventColumns[:]...)
				for event, err := range repo.Read(cmd.Context(), eventstream.StreamID(args[0]), opts) {
					if err != nil {
						return err
					}
					if err := addEvent(list, event, &event); err != nil {
						return err
					}
				}
				return list.Flush()
			})
		},
	}
	cmd.Flags().Int64Var(&opts.From, "from", 0, "version to start with (default: the first, or the last with --backwards)")
	cmd.Flags().IntVar(&opts.Limit, "limit", 0, "end after so many events (default: no limit)")
	cmd.Flags().BoolVar(&opts.Backwards, "backwards", false, "from newer to older")
	return cmd
}
