package eventstream

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// deliverApart finds the events that the handler fails on, by halves, and lets the others through.
func (w *shardWorker) deliverApart(ctx context.Context, events, behind []LogEvent, upto int64) error {
	if len(events) <= 1 && len(behind) == 0 {
		return w.deliverOne(ctx, events[0], upto)
	}
	// Those that wait are parked with the last part, or alone if nothing else is left.
	if len(events) <= 1 {
		if err := w.deliverOne(ctx, events[0], events[0].Position); err != nil {
			return err
		}
		return w.attempt(ctx, nil, behind, max(upto, events[0].Position))
	}
	half := len(events) / 2
	for _, part := range []struct {
		events, behind []LogEvent
		upto           int64
	}{{events[:half], nil, events[half-1].Position}, {events[half:], behind, upto}} {
		err := w.attempt(ctx, part.events, part.behind, part.upto)
		var failure *handlerFailure
		if errors.As(err, &failure) {
			err = w.deliverApart(ctx, part.events, part.behind, part.upto)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deliverOne tries one event until it is handled, skipped by hand, or has to be given up.
func (w *shardWorker) deliverOne(ctx context.Context, e LogEvent, upto int64) error {
	pause := w.sub.config.MinBackoff
	for try := 1; ; try++ {
		err := w.attempt(ctx, []LogEvent{e}, nil, upto)
		var failure *handlerFailure
		if !errors.As(err, &failure) {
			return err
		}
		w.sub.config.OnError(failure.err)
		// An error that the database raised because of others says nothing against the event.
		if try >= w.sub.config.MaxTries && !SafeToRetry(failure.err) {
			return w.giveUp(ctx, e, upto, try, failure.err)
		}
		if err := w.pause(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, w.sub.config.MaxBackoff)
		if skipped, err := w.skippedByHand(ctx, e.Position); err != nil {
			return err
		} else if skipped {
			return w.inTx(ctx, 0, upto, func(pgx.Tx) error { return nil })
		}
	}
}

func (w *shardWorker) skippedByHand(ctx context.Context, position int64) (bool, error) {
	conn, release, err := w.hub.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	if err := w.readSkips(ctx, conn, w.checkpoint.Load()); err != nil {
		return false, err
	}
	return w.skips[position], nil
}

// giveUp does what the policy says about an event that cannot be handled.
func (w *shardWorker) giveUp(ctx context.Context, e LogEvent, upto int64, tries int, cause error) error {
	if w.sub.config.OnFailure == Stop {
		return &HandlerError{Subscription: w.sub.name, Shard: w.shard, Event: e, Tries: tries, Err: cause}
	}
	return w.inTx(ctx, 0, upto, func(tx pgx.Tx) error {
		return w.park(ctx, tx, []LogEvent{e}, tries, cause.Error())
	})
}

// park puts events aside.
func (w *shardWorker) park(ctx context.Context, tx pgx.Tx, events []LogEvent, tries int, reason string) error {
	if len(events) == 0 {
		return nil
	}
	positions := make([]int64, len(events))
	for i := range events {
		positions[i] = events[i].Position
	}
	w.parked = true
	return w.hub.repo.queries.ParkedPark(ctx, tx, db.ParkedParkParams{
		Subscription: w.sub.name, Positions: positions, Tries: int32(tries), Error: reason,
	})
}
