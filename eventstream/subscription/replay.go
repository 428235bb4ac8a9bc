package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/lenttx"
	"github.com/gaplesspg/gapless/internal/outlast"
)

// ReplayParked gives what the subscription has put aside to its handler again, event by event and in order within each stream, whether
// or not the subscription runs. What is handled is no longer parked: with a TxHandler in the same transaction. An event that fails
// again stays, with its stream's later ones, and other streams go on. It returns how many were handled, and what failed, joined: a
// *HandlerError for each event that the handler failed on.
func (s *Subscription) ReplayParked(ctx context.Context) (int, error) {
	streams, err := db.New().ParkedStreams(ctx, s.core.Handle(), db.ParkedStreamsParams{
		Subscription: s.name, StreamIds: []string{},
	})
	if err != nil {
		return 0, explain(s.core, err)
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
	tx, err := s.hub.pool.BeginTx(ctx, batchOptions(token, s.config.IdleTimeout, 0)) // who replays it already may take its time
	if err != nil {
		return false, explain(s.core, err)
	}
	defer rollback(tx)
	row, err := db.New().ParkedNext(ctx, tx, db.ParkedNextParams{Subscription: s.name, StreamID: stream})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, explain(s.core, err)
	}
	event, found, err := s.core.EventAt(ctx, tx, row.Position)
	if err != nil {
		rollback(tx) // naming it takes a connection of its own
		return false, explain(s.core, s.core.NameUnreadable(ctx, row.Position, err))
	}
	if !found {
		return false, fmt.Errorf("%w: position %d", eventstream.ErrEventNotFound, row.Position)
	}
	err = s.replayOne(ctx, tx, event, token)
	var failure *handlerFailure
	if !errors.As(err, &failure) {
		return err == nil, explain(s.core, err)
	}
	rollback(tx)
	return false, s.replayFailed(ctx, event, int(row.Tries), failure)
}

// replayFailed counts a try, as far as it counts, of an event that no other replay has handled meanwhile.
func (s *Subscription) replayFailed(ctx context.Context, event eventstream.LogEvent, tries int, failure *handlerFailure) error {
	counted := 0
	if judge(failure.err, failure.lost, s.hub.isOwn).counts {
		counted = 1
	}
	again := isolation.OrReadCommitted(ctx, s.core.Handle(), func(h db.DBTX) error {
		return db.New().ParkedFail(ctx, h, db.ParkedFailParams{
			Subscription: s.name, Position: event.Position, Error: storable(failure.Error()), Tries: int32(counted),
		})
	})
	return errors.Join(&HandlerError{
		Subscription: s.name, Shard: event.PartitionID % s.config.Shards, Event: event, Tries: tries + counted, Err: failure.err,
	}, explain(s.core, again))
}

// replayOne hands an event to the handler and removes it from what is parked, all in one transaction.
func (s *Subscription) replayOne(ctx context.Context, tx pgx.Tx, event eventstream.LogEvent, token string) error {
	w := &shardWorker{sub: s, shard: event.PartitionID % s.config.Shards}
	events := []eventstream.LogEvent{event}
	began := time.Now()
	var err error
	if h, ok := s.handler.(TxHandler); ok {
		if s.config.HandlerTimeout > 0 {
			_, err = tx.Exec(ctx, lenttx.LimitStatements(s.config.HandlerTimeout))
		}
		if err == nil {
			err = w.callInTx(ctx, tx, h, events)
		}
	} else {
		err = w.callAndWait(ctx, events)
	}
	if err != nil {
		return s.failedIn(tx, err, began)
	}
	lasting, done := outlast.Context(ctx)
	defer done()
	removed, err := db.New().ParkedRemove(lasting, tx, db.ParkedRemoveParams{
		Subscription: s.name, Position: event.Position, Token: token,
	})
	if err != nil {
		return s.swallowed(tx, err, began)
	}
	if removed == 0 {
		return eventstream.ErrTxEnded
	}
	if err := tx.Commit(lasting); err != nil {
		return s.failedCommit(err, 1)
	}
	return nil
}
