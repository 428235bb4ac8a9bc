package eventstream

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// deliverApart finds the events that the handler fails on, by halves, and lets the others through.
func (w *shardWorker) deliverApart(ctx context.Context, p page, cause error) error {
	if len(p.events) == 1 {
		return w.deliverOne(ctx, p.events[0], p.upto, cause)
	}
	w.sub.config.OnError(cause)
	half := len(p.events) / 2
	if err := w.deliverPart(ctx, page{events: p.events[:half], upto: p.events[half-1].Position}); err != nil {
		return err
	}
	return w.deliverPart(ctx, page{events: p.events[half:], upto: p.upto})
}

// deliverOne tries an event that failed again, until it is handled or has to be given up.
func (w *shardWorker) deliverOne(ctx context.Context, e LogEvent, upto int64, cause error) error {
	pause := w.sub.config.MinBackoff
	for try := 1; ; try++ {
		w.sub.config.OnError(cause)
		// An error that the database raised because of others says nothing against the event.
		if try >= w.sub.config.MaxTries && !SafeToRetry(cause) {
			return w.giveUp(ctx, e, upto, try, cause)
		}
		if err := w.pause(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, w.sub.config.MaxBackoff)
		err := w.attempt(ctx, []LogEvent{e}, nil, upto)
		var failure *handlerFailure
		if !errors.As(err, &failure) {
			return err
		}
		cause = failure.err
	}
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

// giveUpUnreadable does what the policy says about an event that no handler can get: no further try would help.
func (w *shardWorker) giveUpUnreadable(ctx context.Context, p page) error {
	return w.giveUp(ctx, p.events[0], p.upto, 0, p.unreadable)
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
		Subscription: w.sub.name, Positions: positions, Tries: int32(tries), Error: storable(reason),
	})
}

// storable is a handler's error as PostgreSQL can store it: valid UTF-8 without NUL, and of bounded length.
func storable(reason string) string {
	const longest = 8 << 10
	if len(reason) > longest {
		reason = reason[:longest]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(reason, "\ufffd"), "\x00", "\ufffd")
}
