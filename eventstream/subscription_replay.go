package eventstream

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// ReplayParked gives what the subscription has put aside to its handler again, event by event and in order within each stream, whether
// or not the subscription runs. What is handled is no longer parked: with a TxHandler in the same transaction. An event that fails
// again stays, with its stream's later ones, and other streams go on. It returns how many were handled, and what failed, joined.
func (s *Subscription) ReplayParked(ctx context.Context) (int, error) {
	streams, err := s.repo.queries.ParkedStreams(ctx, s.repo.handle, db.ParkedStreamsParams{
		Subscription: s.name, StreamIds: []string{},
	})
	if err != nil {
		return 0, mapError(err)
	}
	handled, errs := 0, []error(nil)
	for _, stream := range streams {
		for {
			more, err := s.replayNext(ctx, stream)
			if err != nil {
				errs = append(errs, err)
			}
			if err != nil || !more {
				break
			}
			handled++
		}
	}
	return handled, errors.Join(errs...)
}

// replayNext handles the first parked event of a stream, if there is one.
func (s *Subscription) replayNext(ctx context.Context, stream string) (bool, error) {
	var event LogEvent
	var position int64
	token := "replay " + uuid.NewString()
	err := pgx.BeginTxFunc(ctx, s.repo.hub.pool, s.repo.hub.batchOptions(token), func(tx pgx.Tx) error {
		row, err := s.repo.queries.ParkedNext(ctx, tx, db.ParkedNextParams{Subscription: s.name, StreamID: stream})
		if err != nil {
			return err
		}
		position = row.Position
		page, _, err := s.repo.logPage(ctx, tx, onePosition(position), &numberer{}, nil)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return fmt.Errorf("%w: position %d", ErrEventNotFound, row.Position)
		}
		event = page[0]
		if err := s.replayOne(ctx, tx, event); err != nil {
			return endedAnyway(tx, err)
		}
		removed, err := s.repo.queries.ParkedRemove(ctx, tx, db.ParkedRemoveParams{
			Subscription: s.name, Position: event.Position, Token: token,
		})
		if err == nil && removed == 0 {
			return ErrTxEnded
		}
		return swallowed(err)
	})
	var failure *handlerFailure
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case errors.As(err, &failure):
		// Unless another replay has handled it meanwhile.
		again := orReadCommitted(ctx, s.repo.handle, func(h Handle) error {
			return s.repo.queries.ParkedFail(ctx, h, db.ParkedFailParams{
				Subscription: s.name, Position: event.Position, Error: storable(failure.Error()),
			})
		})
		return false, errors.Join(
			fmt.Errorf("event at position %d (version %d of stream %s): %w", event.Position, event.Version, quote(stream), failure.err),
			mapError(again))
	}
	return err == nil, mapError(s.nameUnreadable(ctx, position, err))
}

// onePosition is the page of one event, however large it is.
func onePosition(position int64) pageWanted {
	return pageWanted{after: position - 1, until: position, size: 1, bytes: math.MaxInt64, large: true}
}

// nameUnreadable puts the event at a position in place of the error that reading it ended with.
func (s *Subscription) nameUnreadable(ctx context.Context, position int64, err error) error {
	if unreadable, _ := s.repo.unreadableInLog(ctx, s.repo.handle, onePosition(position), &numberer{}, err); unreadable != nil {
		return unreadable
	}
	return err
}

func (s *Subscription) replayOne(ctx context.Context, tx pgx.Tx, event LogEvent) error {
	events := []LogEvent{event}
	if h, ok := s.handler.(TxHandler); ok {
		return call(func() error { return h(ctx, batchTx{tx}, events) })
	}
	w := &shardWorker{sub: s}
	return w.callAndWait(ctx, events)
}
