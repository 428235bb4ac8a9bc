package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

func (a *app) subscriptionsCommand() *cobra.Command {
	return group("subscriptions", "Look after subscriptions: how far they are, what they put aside",
		`A subscription hands every event to a handler of a service, and keeps its checkpoint here, one for each shard. Events that its handler failed
on may be parked: they wait to be replayed or skipped.`,
		a.subscriptionsListCommand(), a.subscriptionsLagCommand(), a.subscriptionsShowCommand(),
		a.pauseCommand("pause", "Take a subscription's shards from whoever runs it", "paused", subscription.Pause),
		a.pauseCommand("resume", "Let a paused subscription go on where it was", "resumed", subscription.Resume),
		a.resetCommand(), a.parkedCommand(), a.replayCommand(), a.skipCommand())
}

// subscriptionRow is a subscription as --json has it.
type subscriptionRow struct {
	Name         string          `json:"subscription" db:"name"`
	Delivery     string          `json:"delivery" db:"delivery"`
	Shards       int             `json:"shards" db:"shard_count"`
	Paused       bool            `json:"paused" db:"paused"`
	Filter       json.RawMessage `json:"filter" db:"filter"`
	Start        json.RawMessage `json:"start" db:"start"`
	CreatedAt    time.Time       `json:"created_at" db:"created_at"`
	Rebuilds     *string         `json:"rebuilds,omitzero" db:"rebuilds"`
	Rebuilding   bool            `json:"-" db:"rebuilding"`
	LagEvents    int64           `json:"lag_events" db:"-"`
	LagSeconds   float64         `json:"lag_seconds" db:"-"`
	Handled      int64           `json:"handled" db:"-"`
	Parked       int64           `json:"parked" db:"-"`
	State        string          `json:"state" db:"-"`
	FailingShard *int            `json:"failing_shard,omitzero" db:"-"`
	LastError    string          `json:"last_error,omitzero" db:"-"`
}

const subscriptionsQuery = `
SELECT s.name, s.delivery, s.shard_count, s.paused, s.filter, s.start, s.created_at, s.rebuilds,
    eventstream.is_rebuilding(s.name) AS rebuilding
FROM eventstream.subscriptions AS s
WHERE $1 = '' OR s.name = $1
ORDER BY s.name`

// readSubscriptions gives one subscription, or with an empty name all, and how far each is.
func readSubscriptions(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository, name string) ([]subscriptionRow, []subscription.ShardLag, error) {
	lags, err := subscription.List(ctx, repo)
	if err != nil {
		return nil, nil, err
	}
	rows, err := pool.Query(ctx, subscriptionsQuery, name)
	if err != nil {
		return nil, nil, err
	}
	subs, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[subscriptionRow])
	if err != nil {
		return nil, nil, err
	}
	if name != "" && len(subs) == 0 {
		return nil, nil, unknownSubscription(name)
	}
	var own []subscription.ShardLag
	for i := range subs {
		subs[i].CreatedAt = subs[i].CreatedAt.UTC()
		for _, lag := range lags {
			if lag.Subscription == subs[i].Name {
				subs[i].add(lag)
				own = append(own, lag)
			}
		}
	}
	return subs, own, nil
}

func unknownSubscription(name string) error {
	return fmt.Errorf("subscription %q is not there: see gapless subscriptions list", name)
}

// add counts a shard in. What is worst says how the whole is.
func (s *subscriptionRow) add(lag subscription.ShardLag) {
	s.LagEvents += lag.Events
	s.LagSeconds = max(s.LagSeconds, lag.Age.Seconds())
	s.Handled += lag.Handled
	s.Parked += lag.Parked
	if s.State == "" || lag.State == subscription.ShardOwnerGone || s.State == string(subscription.ShardOwned) {
		s.State = string(lag.State)
	}
	if lag.LastError != "" && s.FailingShard == nil {
		s.FailingShard, s.LastError = &lag.Shard, lag.LastError
	}
}

func (a *app) subscriptionsListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List subscriptions, a row each", Args: noArgs,
		Long:    `Lists subscriptions: how many events are not handled yet and how old the oldest of them is, what is parked, and whether somebody runs it.`,
		Example: `  gapless subscriptions list --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				subs, _, err := readSubscriptions(cmd.Context(), pool, repo, "")
				if err != nil {
					return err
				}
				list := a.out.List("SUBSCRIPTION", "DELIVERY", "#SHARDS", "STATE", "#LAG", "#AGE", "#PARKED", "LAST ERROR")
				for _, s := range subs {
					if err := list.Add(s, s.Name, s.Delivery, output.Int(s.Shards), s.State, output.Int(s.LagEvents), age(s.LagSeconds),
						output.Int(s.Parked), s.LastError); err != nil {
						return err
					}
				}
				return list.Flush()
			})
		},
	}
}

// age prints seconds.
func age(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

// shardRow is a shard as --json has it.
type shardRow struct {
	Subscription    string    `json:"subscription"`
	Shard           int       `json:"shard"`
	Shards          int       `json:"shards"`
	Checkpoint      int64     `json:"checkpoint"`
	StablePosition  int64     `json:"stable_position"`
	LagEvents       int64     `json:"lag_events"`
	LagSeconds      float64   `json:"lag_seconds"`
	Handled         int64     `json:"handled"`
	Parked          int64     `json:"parked"`
	State           string    `json:"state"`
	Owner           string    `json:"owner"`
	FailingPosition int64     `json:"failing_position,omitzero"`
	FailingEvent    string    `json:"failing_event,omitzero"`
	FailingSince    time.Time `json:"failing_since,omitzero"`
	Tries           int       `json:"tries,omitzero"`
	LastError       string    `json:"last_error,omitzero"`
	UpdatedAt       time.Time `json:"updated_at"`
}

func asShardRow(l subscription.ShardLag) shardRow {
	row := shardRow{
		Subscription: l.Subscription, Shard: l.Shard, Shards: l.Shards, Checkpoint: l.Position, StablePosition: l.StablePosition,
		LagEvents: l.Events, LagSeconds: l.Age.Seconds(), Handled: l.Handled, Parked: l.Parked, State: string(l.State), Owner: l.Owner,
		FailingPosition: l.FailingPosition, FailingSince: l.FailingSince, Tries: l.Tries, LastError: l.LastError, UpdatedAt: l.UpdatedAt,
	}
	if l.FailingPosition != 0 {
		row.FailingEvent = l.FailingEvent.String()
	}
	return row
}

func (a *app) subscriptionsLagCommand() *cobra.Command {
	return &cobra.Command{
		Use: "lag [NAME]", Short: "Say how far each shard is", Args: needs(0, 1),
		Long:    `Lists the shards of one subscription or of all: checkpoint, events that are not handled yet, age of the oldest, and who owns the shard.`,
		Example: `  gapless subscriptions lag mailer`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				_, lags, err := readSubscriptions(cmd.Context(), pool, repo, name)
				if err != nil {
					return err
				}
				return a.printShards(lags)
			})
		},
	}
}

func (a *app) printShards(lags []subscription.ShardLag) error {
	list := a.out.List("SUBSCRIPTION", "#SHARD", "STATE", "#CHECKPOINT", "#LAG", "#AGE", "#HANDLED", "#PARKED", "OWNER", "LAST ERROR")
	for _, lag := range lags {
		row := asShardRow(lag)
		if err := list.Add(row, row.Subscription, output.Int(row.Shard), row.State, output.Int(row.Checkpoint), output.Int(row.LagEvents),
			age(row.LagSeconds), output.Int(row.Handled), output.Int(row.Parked), row.Owner, row.LastError); err != nil {
			return err
		}
	}
	return list.Flush()
}

// shownSubscription is a subscription with its shards, as --json has it.
type shownSubscription struct {
	subscriptionRow
	Each []shardRow `json:"each_shard"`
}

func (a *app) subscriptionsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show all there is to know of a subscription", Args: needs(1, 1),
		Long:    `Shows how a subscription was created, and how far each of its shards is.`,
		Example: `  gapless subscriptions show mailer --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				subs, lags, err := readSubscriptions(cmd.Context(), pool, repo, args[0])
				if err != nil {
					return err
				}
				return a.showSubscription(subs[0], lags)
			})
		},
	}
}

func (a *app) showSubscription(s subscriptionRow, lags []subscription.ShardLag) error {
	shown := shownSubscription{subscriptionRow: s}
	for _, lag := range lags {
		shown.Each = append(shown.Each, asShardRow(lag))
	}
	if err := a.out.Record(shown, [2]string{"subscription", s.Name}, [2]string{"delivery", s.Delivery}, [2]string{"shards", output.Int(s.Shards)},
		[2]string{"paused", strconv.FormatBool(s.Paused)}, [2]string{"filter", string(s.Filter)}, [2]string{"start", string(s.Start)},
		[2]string{"created at", output.Time(s.CreatedAt)}); err != nil || a.out.JSON {
		return err
	}
	return a.printShards(lags)
}
