package subscription

import (
	"context"
	"iter"
	"time"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/logend"
)

// What manages subscriptions by their names takes a repository on any handle: with repo.WithTx(tx) it is part of that transaction. Where there
// is no subscription of a name, it returns a *NotFoundError.

// ParkedEvent is an event that a subscription put aside.
type ParkedEvent struct {
	// Subscription is who put it aside.
	Subscription string
	// Position, StreamID and Version say which event it is.
	Position int64
	StreamID eventstream.StreamID
	Version  int64
	// Error is what the handler said last, and Tries how often it failed on the event; 0 if it waits behind another one.
	Error string
	Tries int
	// ParkedAt is when it was put aside.
	ParkedAt time.Time
}

// List says how far every shard of every subscription is.
func List(ctx context.Context, repo *eventstream.Repository) ([]ShardLag, error) {
	c, err := coreOf(repo)
	if err != nil {
		return nil, err
	}
	return lagOf(ctx, c, "")
}

// Reshard gives a subscription another number of shards. Every partition goes on where it was: nothing is skipped, and with a TxHandler
// nothing comes twice. Processes that run it with the old number lose their shards, and their Run ends with a *MismatchError. It returns an
// *eventstream.InvalidValueError for a number out of bounds, and a *NotFoundError.
func Reshard(ctx context.Context, repo *eventstream.Repository, name string, shards int) error {
	return manage(ctx, repo, func(h db.DBTX) error {
		return db.New().SubscriptionReshard(ctx, h, db.SubscriptionReshardParams{Name: name, ShardCount: int32(shards)})
	})
}

// Reset lets a subscription start anew; what it had parked is forgotten. With a TxHandler, empty what it wrote in the same transaction
// (WithTx), or everything is written twice. It returns a *NotFoundError, an *eventstream.BeyondLogError for a start that the log has not reached, and
// a *ProjectionMismatchError for a projection, which is rebuilt instead.
func Reset(ctx context.Context, repo *eventstream.Repository, name string, from eventstream.Start) error {
	c, err := coreOf(repo)
	if err != nil {
		return err
	}
	if from == nil {
		return invalid.Value("start", "nil", "FromBeginning, FromLatest, FromPosition, FromSequence, FromTime or FromPartitionSequences")
	}
	partitions, err := c.Partitions(ctx, c.Handle())
	if err != nil {
		return err
	}
	if err := c.CheckStart(from, partitions); err != nil {
		return err
	}
	if _, alone := isolation.AloneOn(c.Handle()); alone {
		// Numbers and times are found by marks.
		if _, err := logend.ToRead(ctx, c.Handle(), true); err != nil {
			return explain(c, err)
		}
	}
	return manage(ctx, repo, func(h db.DBTX) error {
		return db.New().SubscriptionReset(ctx, h, db.SubscriptionResetParams{Name: name, Start: c.StartJSON(from)})
	})
}

// Pause takes the shards of a subscription from whoever runs it, and nobody gets them until Resume. A Run goes on and waits. It returns a
// *NotFoundError.
func Pause(ctx context.Context, repo *eventstream.Repository, name string) error {
	return setPaused(ctx, repo, name, true)
}

// Resume lets a subscription go on where Pause stopped it. It returns a *NotFoundError, and a *ProjectionMismatchError for a projection without
// tables, as an interrupted rebuild in place leaves it.
func Resume(ctx context.Context, repo *eventstream.Repository, name string) error {
	return setPaused(ctx, repo, name, false)
}

func setPaused(ctx context.Context, repo *eventstream.Repository, name string, paused bool) error {
	return manage(ctx, repo, func(h db.DBTX) error {
		return db.New().SubscriptionPause(ctx, h, db.SubscriptionPauseParams{Name: name, Paused: paused})
	})
}

// Delete removes a subscription, how far it has come, and what it had parked. What was skipped by hand stays on
// record. It returns a *NotFoundError.
func Delete(ctx context.Context, repo *eventstream.Repository, name string) error {
	return manage(ctx, repo, func(h db.DBTX) error { return db.New().SubscriptionDelete(ctx, h, name) })
}

// SkipEvent decides that a subscription is not to handle an event: one that it parked, or one that it is stuck on. Who did it, when
// and why stays in eventstream.subscription_skips; a reason is required. It returns a *NotFoundError, and an *eventstream.InvalidValueError
// for a position without an event, or without a reason.
func SkipEvent(ctx context.Context, repo *eventstream.Repository, name string, position int64, reason string) error {
	return manage(ctx, repo, func(h db.DBTX) error {
		return db.New().SubscriptionSkipEvent(ctx, h, db.SubscriptionSkipEventParams{
			Subscription: name, Position: position, Reason: reason,
		})
	})
}

// manage does something in READ COMMITTED: what waited for others must see what they wrote.
func manage(ctx context.Context, repo *eventstream.Repository, do func(h db.DBTX) error) error {
	c, err := coreOf(repo)
	if err != nil {
		return err
	}
	return explain(c, isolation.ReadCommitted(ctx, c.Handle(), do))
}

// ParkedEvents lists what a subscription has put aside, in order of the log. An error comes once, as the last pair.
func ParkedEvents(ctx context.Context, repo *eventstream.Repository, name string) iter.Seq2[ParkedEvent, error] {
	return func(yield func(ParkedEvent, error) bool) {
		c, err := coreOf(repo)
		if err != nil {
			yield(ParkedEvent{}, err)
			return
		}
		size := c.Settings().PageSize
		for after := int64(0); ; {
			rows, err := db.New().ParkedList(ctx, c.Handle(), db.ParkedListParams{Subscription: name, After: after, PageSize: int32(size)})
			if err != nil {
				yield(ParkedEvent{}, c.ExplainRead(err))
				return
			}
			for _, row := range rows {
				if !yield(parkedFromRow(row), nil) {
					return
				}
				after = row.Position
			}
			if len(rows) < size {
				return
			}
		}
	}
}

func parkedFromRow(row db.ParkedEvent) ParkedEvent {
	return ParkedEvent{
		Subscription: row.Subscription, Position: row.Position, StreamID: eventstream.StreamID(row.StreamID), Version: row.Version,
		Error: row.Error, Tries: int(row.Tries), ParkedAt: row.ParkedAt.UTC(),
	}
}
