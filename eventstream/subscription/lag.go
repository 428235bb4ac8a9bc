package subscription

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/logend"
)

// ShardState says whether somebody works on a shard.
type ShardState string

const (
	// ShardOwned is a shard that a process works on.
	ShardOwned ShardState = "owned"
	// ShardFree is one that nobody has claimed: no process runs the subscription, or one is about to claim it.
	ShardFree ShardState = "free"
	// ShardOwnerGone is one whose owner died or hangs, and that nobody has claimed since.
	ShardOwnerGone ShardState = "owner is gone"
	// ShardPaused is one that nobody may claim, since the subscription is paused.
	ShardPaused ShardState = "paused"
)

// ShardLag is how far a shard of a subscription is: a row of eventstream.audit_subscriptions.
type ShardLag struct {
	// Subscription, Shard and Shards name the shard and say how many there are.
	Subscription  string
	Shard, Shards int
	// Position is the checkpoint: everything of the shard up to it is handled.
	Position int64
	// StablePosition is how far the log can be read.
	StablePosition int64
	// Events is how many events of the shard's partitions are not handled yet, whatever the subscription's filter.
	Events int64
	// Age is how long ago the oldest of these was recorded; 0 if there is none.
	Age time.Duration
	// Handled is how many events the shard has handled since the subscription was created, resharded, reset or rebuilt, without those that were
	// parked and replayed; and Parked how many it has put aside.
	Handled, Parked int64
	// State says whether somebody works on it.
	State ShardState
	// Owner is what the process calls itself that owns the shard; empty if none does.
	Owner string
	// LastError is what the handler said last of the event that it fails on; empty while it does not fail.
	LastError string
	// FailingPosition and FailingEvent say which event that is, and Tries how often it failed alone. While it is one of several that are tried
	// together, FailingPosition is that of the first, FailingEvent the zero UUID and Tries 0.
	FailingPosition int64
	FailingEvent    uuid.UUID
	Tries           int
	// FailingSince is when it first failed there; zero while it does not fail.
	FailingSince time.Time
	// UpdatedAt is when the checkpoint moved last.
	UpdatedAt time.Time
}

// lagOf is the lag of one subscription, or with an empty name of all.
func lagOf(ctx context.Context, c core, name string) ([]ShardLag, error) {
	if err := logend.ForLag(ctx, c.Handle()); err != nil {
		return nil, explain(c, err)
	}
	var rows []db.SubscriptionLagRow
	err := isolation.ReadCommitted(ctx, c.Handle(), func(h db.DBTX) (err error) {
		rows, err = db.New().SubscriptionLag(ctx, h, name)
		return err
	})
	if err != nil {
		return nil, c.ExplainRead(err)
	}
	lags := make([]ShardLag, len(rows))
	for i, row := range rows {
		lags[i] = ShardLag{
			Subscription: row.Subscription, Shard: int(row.Shard), Shards: int(row.ShardCount),
			Position: row.Position, StablePosition: row.StablePosition,
			Events: row.LagEvents, Age: time.Duration(row.LagSeconds * float64(time.Second)),
			Handled: row.Events, Parked: row.Parked, State: ShardState(row.State), Owner: row.Application, UpdatedAt: row.UpdatedAt.UTC(),
			LastError: row.LastError, FailingPosition: row.FailingPosition, FailingEvent: row.FailingEvent, Tries: int(row.Tries),
		}
		if row.FailingPosition != 0 {
			lags[i].FailingSince = row.FailingSince.UTC()
		}
	}
	return lags, nil
}
