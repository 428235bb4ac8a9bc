package eventstream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// ReplayParked gives what the subscription has put aside to its handler again, event by event and in order within each stream, whether
// or not the subscription runs. What is handled is no longer parked: with a TxHandler in the same transaction. An event that fails
// again stays, with its stream's later ones, and other streams go on. It returns how many were handled, and what failed, joined: a
// *HandlerError for each event that the handler failed on.
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
	token := "replay " + uuid.NewString()
	tx, err := s.repo.hub.pool.BeginTx(ctx, s.batchOptions(token))
	if err != nil {
		return false, mapError(err)
	}
	defer rollback(tx)
	row, err := s.repo.queries.ParkedNext(ctx, tx, db.ParkedNextParams{Subscription: s.name, StreamID: stream})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, mapError(err)
	}
	page, _, err := s.repo.logPage(ctx, tx, onePosition(row.Position), &numberer{}, nil)
	if err != nil {
		rollback(tx) // naming it takes a connection of its own
		return false, mapError(s.nameUnreadable(ctx, row.Position, err))
	}
	if len(page) == 0 {
		return false, fmt.Errorf("%w: position %d", ErrEventNotFound, row.Position)
	}
	err = s.replayOne(ctx, tx, page[0], token)
	var failure *handlerFailure
	if !errors.As(err, &failure) {
		return err == nil, mapError(err)
	}
	rollback(tx)
	return false, s.replayFailed(ctx, page[0], int(row.Tries), failure)
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

// replayFailed counts a try, as far as it counts, of an event that no other replay has handled meanwhile.
func (s *Subscription) replayFailed(ctx context.Context, event LogEvent, tries int, failure *handlerFailure) error {
	counted := 0
	if judge(failure.err, failure.lost, s.repo.hub.isOwn).counts {
		counted = 1
	}
	again := orReadCommitted(ctx, s.repo.handle, func(h Handle) error {
		return s.repo.queries.ParkedFail(ctx, h, db.ParkedFailParams{
			Subscription: s.name, Position: event.Position, Error: storable(failure.Error()), Tries: int32(counted),
		})
	})
	return errors.Join(&HandlerError{
		Subscription: s.name, Shard: event.PartitionID % s.config.Shards, Event: event, Tries: tries + counted, Err: failure.err,
	}, mapError(again))
}

// replayOne hands an event to the handler and removes it from what is parked, all in one transaction.
func (s *Subscription) replayOne(ctx context.Context, tx pgx.Tx, event LogEvent, token string) error {
	w := &shardWorker{sub: s}
	events := []LogEvent{event}
	began := time.Now()
	var err error
	if h, ok := s.handler.(TxHandler); ok {
		err = w.callInTx(ctx, tx, h, events)
	} else {
		err = w.callAndWait(ctx, events)
	}
	if err != nil {
		return s.failedIn(tx, err, began)
	}
	removed, err := s.repo.queries.ParkedRemove(ctx, tx, db.ParkedRemoveParams{
		Subscription: s.name, Position: event.Position, Token: token,
	})
	if err != nil {
		return s.swallowed(tx, err, began)
	}
	if removed == 0 {
		return ErrTxEnded
	}
	if err := tx.Commit(ctx); err != nil {
		return s.failedCommit(err, 1)
	}
	return nil
}
