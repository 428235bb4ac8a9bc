package command

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// changed is what was done to a subscription, as --json has it.
type changed struct {
	Subscription string `json:"subscription"`
	Done         string `json:"done"`
	Position     int64  `json:"position,omitzero"`
}

func (a *app) printChanged(row changed) error {
	if a.out.JSON {
		return a.out.Record(row)
	}
	if row.Position != 0 {
		return a.out.Say("position %d of subscription %s: %s", row.Position, row.Subscription, row.Done)
	}
	return a.out.Say("subscription %s: %s", row.Subscription, row.Done)
}

func (a *app) pauseCommand(verb, short, done string, do func(context.Context, *eventstream.Repository, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: needs(1, 1),
		Long:    short + `. Nothing is lost: the checkpoint stays, and services that run the subscription wait until it is resumed.`,
		Example: `  gapless subscriptions ` + verb + ` mailer`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				if err := do(cmd.Context(), repo, args[0]); err != nil {
					return err
				}
				return a.printChanged(changed{Subscription: args[0], Done: done})
			})
		},
	}
}

func (a *app) resetCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "reset NAME", Short: "Let a subscription start anew", Args: needs(1, 1),
		Long: `Moves the checkpoints of a subscription to where --from says, and forgets what it had parked. Its handler gets events that it had before,
or never gets some: empty what a handler of a transaction wrote before you reset it, or everything is there twice.`,
		Example: `  gapless subscriptions reset mailer --from latest
  gapless subscriptions reset search --from beginning --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				return usagef("--from is missing: beginning, latest, a position, sequence:N, a time, or a duration")
			}
			start, err := parseStart(from)
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				if _, _, err := readSubscriptions(cmd.Context(), pool, repo, args[0]); err != nil {
					return err
				}
				if err := a.confirm(cmd.Context(), "this lets subscription %s start anew from %s, and forgets what it had parked", args[0], from); err != nil {
					return err
				}
				if err := subscription.Reset(cmd.Context(), repo, args[0], start); err != nil {
					return err
				}
				return a.printChanged(changed{Subscription: args[0], Done: "starts anew from " + from})
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "where to start: beginning, latest, a position, sequence:N, a time, or a duration; required")
	return cmd
}

// parkedRow is a parked event as --json has it.
type parkedRow struct {
	Subscription string               `json:"subscription"`
	Position     int64                `json:"position"`
	StreamID     eventstream.StreamID `json:"stream_id"`
	Version      int64                `json:"version"`
	Tries        int                  `json:"tries"`
	ParkedAt     time.Time            `json:"parked_at"`
	Error        string               `json:"error"`
}

func (a *app) parkedCommand() *cobra.Command {
	return &cobra.Command{
		Use: "parked NAME", Short: "List the events that a subscription has put aside", Args: needs(1, 1),
		Long: `Lists the events that a subscription has put aside, in order of the log: those that its handler failed on, and with 0 tries those that wait behind
one of them in the same stream.`,
		Example: `  gapless subscriptions parked mailer --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				if _, _, err := readSubscriptions(cmd.Context(), pool, repo, args[0]); err != nil {
					return err
				}
				list := a.out.List("#POSITION", "STREAM", "#VERSION", "#TRIES", "PARKED AT", "ERROR")
				for p, err := range subscription.ParkedEvents(cmd.Context(), repo, args[0]) {
					if err != nil {
						return err
					}
					row := parkedRow{p.Subscription, p.Position, p.StreamID, p.Version, p.Tries, p.ParkedAt, p.Error}
					if err := list.Add(row, output.Int(row.Position), string(row.StreamID), output.Int(row.Version), output.Int(row.Tries),
						output.Time(row.ParkedAt), row.Error); err != nil {
						return err
					}
				}
				return list.Flush()
			})
		},
	}
}

func (a *app) skipCommand() *cobra.Command {
	var position int64
	var reason string
	cmd := &cobra.Command{
		Use: "skip NAME --position N --reason WHY", Short: "Decide that a subscription shall not handle an event", Args: needs(1, 1),
		Long: `Decides that a subscription shall not handle an event: one that it parked, or one that it is stuck on. Who did it, when and why stays on record in
eventstream.subscription_skips; rebuilds of a projection leave the event out too. It cannot be undone.`,
		Example: `  gapless subscriptions skip mailer --position 1042 --reason 'the address never existed: ticket 77'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" || position < 1 {
				return usagef("skip needs --position, 1 or more, and --reason, which stays on record")
			}
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				if err := a.confirm(cmd.Context(), "subscription %s will never handle the event at position %d", args[0], position); err != nil {
					return err
				}
				if err := subscription.SkipEvent(cmd.Context(), repo, args[0], position, reason); err != nil {
					return err
				}
				return a.printChanged(changed{Subscription: args[0], Done: "skipped", Position: position})
			})
		},
	}
	cmd.Flags().Int64Var(&position, "position", 0, "position of the event; required")
	cmd.Flags().StringVar(&reason, "reason", "", "why; required")
	return cmd
}
