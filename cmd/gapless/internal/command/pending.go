package command

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

func (a *app) pendingCommand() *cobra.Command {
	return group("pending", "List and give up events that wait for versions before them",
		`Events that were ingested ahead of a hole wait, unseen by readers, until the versions before them arrive.`,
		a.pendingListCommand(), a.pendingDiscardCommand())
}

// pendingRow is a stream with a hole as --json has it.
type pendingRow struct {
	StreamID     string    `json:"stream_id" db:"stream_id"`
	FirstMissing int64     `json:"first_missing" db:"first_missing"`
	Missing      int64     `json:"missing" db:"missing"`
	Waiting      int64     `json:"waiting" db:"waiting"`
	Since        time.Time `json:"since" db:"since"`
	Problem      string    `json:"problem" db:"problem"`
}

func (a *app) pendingListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the streams with a hole", Args: noArgs,
		Long:    `Lists the streams with a hole: the first version that is missing, how many are, how many events wait, and since when.`,
		Example: `  gapless pending list --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error { return a.listPending(cmd.Context(), pool) })
		},
	}
}

func (a *app) listPending(ctx context.Context, pool *pgxpool.Pool) error {
	rows, err := pool.Query(ctx, `
		SELECT stream_id, first_missing, missing, waiting, since, problem FROM eventstream.audit_pending ORDER BY stream_id COLLATE "C"`)
	if err != nil {
		return err
	}
	pending, err := pgx.CollectRows(rows, pgx.RowToStructByName[pendingRow])
	if err != nil {
		return err
	}
	list := a.out.List("STREAM", "#FIRST MISSING", "#MISSING", "#WAITING", "SINCE", "PROBLEM")
	for _, row := range pending {
		row.Since = row.Since.UTC()
		if err := list.Add(row, row.StreamID, output.Int(row.FirstMissing), output.Int(row.Missing), output.Int(row.Waiting),
			output.Time(row.Since), row.Problem); err != nil {
			return err
		}
	}
	return list.Flush()
}

func (a *app) pendingDiscardCommand() *cobra.Command {
	var reason string
	var from int64
	cmd := &cobra.Command{
		Use: "discard STREAM", Short: "Give up the events of a stream that wait for a hole", Args: needs(1, 1),
		Long: `Gives up the events of a stream that wait, because nothing will ever fill the hole before them. They leave for
eventstream.discarded_events, with who did it, when and why, and stay there for good; the stream takes appends again.`,
		Example: `  gapless pending discard device-7 --reason 'the device was lost with versions 5 to 8'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("--reason is missing: it says why, and stays on record")
			}
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				if err := a.confirm(cmd.Context(), "this gives up the events of stream %q that wait from version %d on", args[0], from); err != nil {
					return err
				}
				n, err := repo.DiscardPending(cmd.Context(), eventstream.StreamID(args[0]), reason, from)
				if err != nil {
					return err
				}
				return a.out.Record(discarded{n}, [2]string{"discarded", output.Int(n)})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; required")
	cmd.Flags().Int64Var(&from, "from", 1, "version from which on events are given up")
	return cmd
}

// discarded is how many events were given up, as --json has it.
type discarded struct {
	Discarded int64 `json:"discarded"`
}
