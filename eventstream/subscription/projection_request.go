package subscription

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/pause"
	"github.com/gaplesspg/gapless/internal/shown"
)

// takeUp does what is requested, unless somebody else is at it by now, and says how that ended: on record, and to the observer. After an error
// that leaves the request open it waits for a moment, since it is called again.
func (p *Projector) takeUp(ctx context.Context, told *teller) {
	err := p.underLock(ctx, func(locked context.Context) error {
		r, err := p.takeRequest(locked)
		if err != nil || r == nil {
			return err
		}
		told.tell(RebuildTaken{Projection: p.name, InPlace: r.inPlace, By: r.by})
		if err = r.do(locked); err != nil {
			err = r.settle(ctx, locked, told, err)
		}
		return err
	})
	if err == nil || errors.Is(err, ErrRebuildRunning) || ctx.Err() != nil {
		return // done, or given back: whoever has the lock is at it
	}
	told.tell(RebuildFailed{Projection: p.name, Err: err, Again: true})
	_ = pause.For(ctx, longestMemberBackoff)
}

// takeRequest says that this process is at the request, and returns the rebuild that it asks for; nil if it is open no more.
func (p *Projector) takeRequest(ctx context.Context) (*rebuild, error) {
	var row db.ProjectionTakeRebuildRow
	err := isolation.ReadCommitted(ctx, p.hub.pool, func(tx db.DBTX) (err error) {
		row, err = db.New().ProjectionTakeRebuild(ctx, tx, db.ProjectionTakeRebuildParams{Name: p.name, Application: p.hub.application()})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(p.core, err)
	}
	r := p.rebuildWith(&RebuildOptions{InPlace: row.InPlace, Shards: int(row.ShardCount)})
	r.request, r.by = row.RequestID, row.RequestedBy
	return r, nil
}

// settle ends a request that its rebuild has failed, or returns the error if it stays open: outer is the context of who does it, locked that
// of the lock.
func (r *rebuild) settle(outer, locked context.Context, told *teller, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(outer), cleanupTimeout)
	defer cancel()
	outcome := r.outcome(ctx)
	switch {
	case r.live, outcome == "done", outcome == "failed": // it is on record, and if not by this process, by another one
		told.tell(Interrupted{Subscription: r.name, Shard: -1, Err: err})
		return nil
	case outcome == "canceled", errors.Is(context.Cause(outer), ErrRebuildCanceled):
		if !r.inPlace { // the next rebuild would do it as well, whenever that is
			_ = r.dropStaged(ctx)
		}
		told.tell(RebuildFailed{Projection: r.name, Err: fmt.Errorf("rebuild of projection %s: %w", shown.Quote(r.name), ErrRebuildCanceled)})
		return nil
	case locked.Err() != nil, isAway(err), errors.Is(err, eventstream.ErrReadOnly):
		return err
	}
	reason := storable(err.Error())
	if _, failed := r.recordEnd(ctx, r.hub.pool, &reason); failed != nil {
		return errors.Join(err, failed)
	}
	told.tell(RebuildFailed{Projection: r.name, Err: err})
	return nil
}

// outcome is what is on record of the request; empty while it is open, or if that cannot be found out.
func (r *rebuild) outcome(ctx context.Context) string {
	outcome, err := db.New().ProjectionRebuildOutcome(ctx, r.hub.pool, db.ProjectionRebuildOutcomeParams{Name: r.name, RequestID: r.request})
	if err != nil {
		return ""
	}
	return outcome
}

// dropStaged drops the tables that the rebuild has filled so far, and not those of another one that has begun since it lost the lock.
func (r *rebuild) dropStaged(ctx context.Context) error {
	return r.inTx(ctx, r.hub.pool, func(tx pgx.Tx) error {
		if err := r.requireTables(ctx, tx, r.schema, r.tables); err != nil {
			return err
		}
		return r.dropTables(ctx, tx, r.schema)
	})
}

// endRequest says that what was requested is done, in the transaction that does it; ErrRebuildCanceled if it is not wanted any more.
func (r *rebuild) endRequest(ctx context.Context, tx pgx.Tx) error {
	if r.request == uuid.Nil {
		return nil
	}
	ended, err := r.recordEnd(ctx, tx, nil)
	if err == nil && !ended {
		err = ErrRebuildCanceled
	}
	return err
}

func (r *rebuild) recordEnd(ctx context.Context, h db.DBTX, failure *string) (ended bool, err error) {
	err = isolation.ReadCommitted(ctx, h, func(tx db.DBTX) (err error) {
		ended, err = db.New().ProjectionEndRebuild(ctx, tx, db.ProjectionEndRebuildParams{Name: r.name, RequestID: r.request, Error: failure})
		return err
	})
	return ended, err
}

// mendByRequest rebuilds a projection that cannot run as it is, if somebody has requested that, and returns nil once it can. Otherwise it
// returns the refusal.
func (p *Projector) mendByRequest(ctx context.Context, refusal error) error {
	told := newTeller(p.name, p.config.Observer)
	defer told.close()
	for wait := pause.NewBackoff(memberBackoff, longestMemberBackoff); errors.Is(refusal, ErrProjectionMismatch) || errors.Is(refusal, ErrMismatch); {
		open, err := db.New().ProjectionRebuildRequests(ctx, p.hub.pool, []string{p.name})
		if err != nil || len(open) == 0 {
			return refusal
		}
		if !open[0].Rebuilding {
			p.takeUp(ctx, told)
		}
		if refusal = p.onceReached(ctx, p.Create); refusal == nil {
			return nil
		}
		if err := wait.Wait(ctx); err != nil {
			return err
		}
	}
	return refusal
}
