package subscription

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/outlast"
)

// waitsBehind is what parked_events says of an event that the handler did not get.
const waitsBehind = "waits behind a parked event of its stream"

// part is what is seen through at once: of a page's events, those for the handler and those that wait behind a parked event of their
// stream.
type part struct {
	page
	handed, behind []eventstream.LogEvent
}

// process hands pages to the handler, in order.
func (w *shardWorker) process(ctx context.Context, pages <-chan page) error {
	if w.sub.handler.delivery() == deliveryAcknowledged {
		return w.processAcknowledged(ctx, pages)
	}
	for {
		select {
		case <-w.draining:
			return errDrained
		case <-ctx.Done():
			return ctx.Err()
		case p := <-pages:
			if err := w.deliver(ctx, p); err != nil {
				return err
			}
			w.recycle(p)
		}
	}
}

// deliver sees a page through: all of it is handled, parked or skipped when it returns nil.
func (w *shardWorker) deliver(ctx context.Context, p page) error {
	if p.events = w.due(p.events); len(p.events) == 0 {
		w.idle.Store(p.upto)
		return nil
	}
	if p.unreadable != nil {
		return w.giveUpUnreadable(ctx, p)
	}
	return w.deliverPart(ctx, p)
}

// deliverPart sees events through that are due.
func (w *shardWorker) deliverPart(ctx context.Context, p page) error {
	handed, behind, err := w.admit(ctx, p.events)
	if err != nil {
		return err
	}
	b := part{page: p, handed: handed, behind: behind}
	err = w.attempt(ctx, b)
	var failure *handlerFailure
	if !errors.As(err, &failure) {
		return err
	}
	return w.deliverFailed(ctx, b, failure)
}

// admit separates what is to be handled from what has to wait behind a parked event of its stream.
func (w *shardWorker) admit(ctx context.Context, due []eventstream.LogEvent) (free, behind []eventstream.LogEvent, err error) {
	if !w.parked || w.sub.config.OnFailure != ParkStream || len(due) == 0 {
		return due, nil, nil
	}
	conn, release, err := w.hub.acquireOne(ctx, w.sub.slots)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	ids := make([]string, len(due))
	for i := range due {
		ids[i] = string(due[i].StreamID)
	}
	parked, err := db.New().ParkedStreams(ctx, conn, db.ParkedStreamsParams{Subscription: w.sub.name, StreamIds: ids})
	if err != nil {
		return nil, nil, err
	}
	waits := make(map[eventstream.StreamID]bool, len(parked))
	for _, id := range parked {
		waits[eventstream.StreamID(id)] = true
	}
	free = make([]eventstream.LogEvent, 0, len(due))
	for _, e := range due {
		if waits[e.StreamID] {
			behind = append(behind, e)
		} else {
			free = append(free, e)
		}
	}
	return free, behind, nil
}

// attempt hands a part to the handler once, parks those that wait behind others, and moves the checkpoint.
func (w *shardWorker) attempt(ctx context.Context, b part) error {
	began := time.Now()
	h, ok := w.sub.handler.(TxHandler)
	if !ok {
		if len(b.handed) > 0 {
			if err := w.callAndWait(ctx, b.handed); err != nil {
				return err
			}
		}
		return w.checkpointAt(ctx, b, began)
	}
	err := w.inTx(ctx, len(b.handed), b.upto, func(tx pgx.Tx) error {
		if err := w.park(ctx, tx, b.behind, 0, waitsBehind); err != nil || len(b.handed) == 0 {
			return err
		}
		// A copy: it may sort or change what it got, and what fails is split and tried again.
		return w.callInTx(ctx, tx, h, w.lend(b.handed))
	})
	if err == nil {
		w.tellHandled(b, began)
	}
	if errors.Is(err, eventstream.ErrTxEnded) {
		w.record(ctx, b, 0, err)
	}
	return err
}

// checkpointAt parks those that wait behind others, and moves the checkpoint over what was handled since a time.
func (w *shardWorker) checkpointAt(ctx context.Context, b part, began time.Time) error {
	ctx, done := outlast.Context(ctx)
	defer done()
	var err error
	if len(b.behind) == 0 {
		err = w.moveAlone(ctx, len(b.handed), b.upto)
	} else {
		err = w.inTx(ctx, len(b.handed), b.upto, func(tx pgx.Tx) error { return w.park(ctx, tx, b.behind, 0, waitsBehind) })
	}
	if err == nil {
		w.tellHandled(b, began)
	}
	return err
}

func (w *shardWorker) tellHandled(b part, began time.Time) {
	w.tell(BatchHandled{
		Subscription: w.sub.name, Shard: w.shard, Events: len(b.handed), Waiting: len(b.behind),
		Position: b.upto, Took: time.Since(began),
	})
}

// lend gives a handler events to look at until it returns: a copy, since a handler that fails may have changed it, whose memory serves
// the next call.
func (w *shardWorker) lend(events []eventstream.LogEvent) []eventstream.LogEvent {
	w.lent = append(w.lent[:0], events...)
	return w.lent
}
