package eventstream

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
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
	// Handled is how many events the shard has handled so far, and Parked how many it has put aside.
	Handled, Parked int64
	// State is owned, free, owner is gone, or paused.
	State string
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

// ParkedEvent is an event that a subscription put aside.
type ParkedEvent struct {
	// Subscription is who put it aside.
	Subscription string
	// Position, StreamID and Version say which event it is.
	Position int64
	StreamID StreamID
	Version  int64
	// Error is what the handler said last, and Tries how often it failed on the event; 0 if it waits behind another one.
	Error string
	Tries int
	// ParkedAt is when it was put aside.
	ParkedAt time.Time
}

// Subscriptions says how far every shard of every subscription is.
func (r *Repository) Subscriptions(ctx context.Context) ([]ShardLag, error) {
	return r.subscriptionLag(ctx, r.handle, "")
}

// ReshardSubscription gives a subscription another number of shards. Every partition goes on where it was: nothing is skipped, and with
// a TxHandler nothing comes twice. Processes that run it with the old number lose their shards, and their Run ends with a
// *SubscriptionMismatchError.
func (r *Repository) ReshardSubscription(ctx context.Context, name string, shards int) error {
	return mapError(readCommitted(ctx, r.handle, func(h Handle) error {
		return r.queries.SubscriptionReshard(ctx, h, db.SubscriptionReshardParams{Name: name, ShardCount: int32(shards)})
	}))
}

// ResetSubscription lets a subscription start anew; what it had parked is forgotten. With a TxHandler, empty what it wrote in the same
// transaction (WithTx), or everything is there twice.
func (r *Repository) ResetSubscription(ctx context.Context, name string, from Start) error {
	if from == nil {
		return invalidValue("start", "nil", "FromBeginning, FromLatest, FromPosition, FromSequence, FromTime or FromPartitionSequences")
	}
	partitions, err := r.partitionCount(ctx, r.handle)
	if err != nil {
		return err
	}
	if err := from.validate(partitions); err != nil {
		return err
	}
	if _, alone := aloneOn(r.handle); alone {
		// Numbers and times are found by marks.
		if _, err := r.stableToRead(ctx, r.handle, true); err != nil {
			return mapError(err)
		}
	}
	return mapError(readCommitted(ctx, r.handle, func(h Handle) error {
		return r.queries.SubscriptionReset(ctx, h, db.SubscriptionResetParams{Name: name, Start: startJSON(from)})
	}))
}

// PauseSubscription takes the shards of a subscription from whoever runs it, or with false gives them free again.
func (r *Repository) PauseSubscription(ctx context.Context, name string, paused bool) error {
	return mapError(readCommitted(ctx, r.handle, func(h Handle) error {
		return r.queries.SubscriptionPause(ctx, h, db.SubscriptionPauseParams{Name: name, Paused: paused})
	}))
}

// DeleteSubscription removes a subscription, how far it has come, and what it had parked. What was skipped by hand stays on record.
func (r *Repository) DeleteSubscription(ctx context.Context, name string) error {
	return mapError(readCommitted(ctx, r.handle, func(h Handle) error { return r.queries.SubscriptionDelete(ctx, h, name) }))
}

// SkipEvent decides that a subscription shall not handle an event: one that it parked, or one that it is stuck on. Who did it, when
// and why stays in eventstream.subscription_skips; a reason is required.
func (r *Repository) SkipEvent(ctx context.Context, name string, position int64, reason string) error {
	return mapError(readCommitted(ctx, r.handle, func(h Handle) error {
		return r.queries.SubscriptionSkipEvent(ctx, h, db.SubscriptionSkipEventParams{
			Subscription: name, Position: position, Reason: reason,
		})
	}))
}

// ParkedEvents lists what a subscription has put aside, in order of the log. An error comes once, as the last pair.
func (r *Repository) ParkedEvents(ctx context.Context, name string) iter.Seq2[ParkedEvent, error] {
	return func(yield func(ParkedEvent, error) bool) {
		for after := int64(0); ; {
			rows, err := r.queries.ParkedList(ctx, r.handle, db.ParkedListParams{
				Subscription: name, After: after, PageSize: int32(r.config.PageSize),
			})
			if err != nil {
				yield(ParkedEvent{}, mapError(unreadable(err)))
				return
			}
			for _, row := range rows {
				if !yield(parkedFromRow(row), nil) {
					return
				}
				after = row.Position
			}
			if len(rows) < r.config.PageSize {
				return
			}
		}
	}
}

func parkedFromRow(row db.ParkedEvent) ParkedEvent {
	return ParkedEvent{
		Subscription: row.Subscription, Position: row.Position, StreamID: StreamID(row.StreamID), Version: row.Version,
		Error: row.Error, Tries: int(row.Tries), ParkedAt: row.ParkedAt.UTC(),
	}
}

func (r *Repository) subscriptionLag(ctx context.Context, h Handle, name string) ([]ShardLag, error) {
	if err := r.marksForLag(ctx, h); err != nil {
		return nil, mapError(err)
	}
	var rows []db.SubscriptionLagRow
	err := readCommitted(ctx, h, func(h Handle) (err error) {
		rows, err = r.queries.SubscriptionLag(ctx, h, name)
		return unreadable(err)
	})
	if err != nil {
		return nil, mapError(err)
	}
	lags := make([]ShardLag, len(rows))
	for i, row := range rows {
		lags[i] = ShardLag{
			Subscription: row.Subscription, Shard: int(row.Shard), Shards: int(row.ShardCount),
			Position: row.Position, StablePosition: row.StablePosition,
			Events: row.LagEvents, Age: time.Duration(row.LagSeconds * float64(time.Second)),
			Handled: row.Events, Parked: row.Parked, State: row.State, Owner: row.Application, UpdatedAt: row.UpdatedAt.UTC(),
			LastError: row.LastError, FailingPosition: row.FailingPosition, FailingEvent: row.FailingEvent, Tries: int(row.Tries),
		}
		if row.FailingPosition != 0 {
			lags[i].FailingSince = row.FailingSince.UTC()
		}
	}
	return lags, nil
}
