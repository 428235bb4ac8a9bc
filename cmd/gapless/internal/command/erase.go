package command

import (
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// erased is how many events were erased, as --json has it.
type erased struct {
	Erased int64 `json:"erased"`
}

func (a *app) eraseCommand() *cobra.Command {
	erasure := eventstream.Erasure{}
	var tell bool
	cmd := &cobra.Command{
		Use: "erase STREAM", Short: "Take away what events of a stream hold, for good", Args: needs(1, 1),
		Long: `Takes payload, data and metadata away from events of a stream, for good. The events stay, with their versions and their places in
the log, and their seals stay valid; eventstream.erasures keeps who erased them, when and why. Snapshots of the stream are deleted.`,
		Example: `  gapless erase person-7 --from 1 --reason 'request 2026-17'
  gapless erase person-7 --from 3 --to 3 --reason 'an address in a free text'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if erasure.Reason == "" {
				return usagef("--reason is missing: it says why, and stays on record")
			}
			if erasure.From == 0 {
				return usagef("--from is missing: the first version to erase, 1 for the whole stream")
			}
			if cmd.Flags().Changed("tell") {
				erasure.Tell = &tell
			}
			erasure.StreamID = eventstream.StreamID(args[0])
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				if err := a.confirm(cmd.Context(), "this takes away what events %s of stream %q hold, for good", versionRange(erasure), args[0]); err != nil {
					return err
				}
				n, err := repo.Erase(cmd.Context(), erasure)
				if err != nil {
					return err
				}
				return a.out.Record(erased{n}, [2]string{"erased", output.Int(n)})
			})
		},
	}
	cmd.Flags().Int64Var(&erasure.From, "from", 0, "first version; required")
	cmd.Flags().Int64Var(&erasure.To, "to", 0, "last version (default: the last of the stream)")
	cmd.Flags().StringVar(&erasure.Reason, "reason", "", "why, without naming a person; required")
	cmd.Flags().BoolVar(&tell, "tell", false, "append an event $erased to the log (default: if the filter of a subscription asks for it)")
	return cmd
}

func versionRange(e eventstream.Erasure) string {
	if e.To == 0 {
		return strconv.FormatInt(e.From, 10) + " to the last"
	}
	return strconv.FormatInt(e.From, 10) + " to " + strconv.FormatInt(e.To, 10)
}
