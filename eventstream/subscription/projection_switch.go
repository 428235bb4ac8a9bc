package subscription

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/logend"
)

// switchPatience is how long the live projection may be kept waiting for the new one to come level.
const switchPatience = 5 * time.Second

// errLate says that the new tables did not come level in time.
var errLate = errors.New("the new tables did not come level in time")

// takeOver waits until the new tables hold all that was there when it began and all that the live ones hold, and switches.
func (r *rebuild) takeOver(ctx context.Context) error {
	look, err := logend.Look(ctx, r.hub.pool)
	if err != nil {
		return explain(r.core, err)
	}
	for {
		if err := r.feed.WaitFor(ctx, look.StablePosition); err != nil {
			return err
		}
		err := r.trySwitch(ctx)
		if err == nil {
			r.live = true
			r.hub.claimSoon.Store(true)
			return nil
		}
		if !errors.Is(err, errLate) && !eventstream.SafeToRetry(err) {
			return err
		}
	}
}

// trySwitch stops the live projection where it is, lets the new one come level, and puts it in its place: all in one transaction,
// which is given up if that takes too long.
func (r *rebuild) trySwitch(ctx context.Context) error {
	r.feed.ends.Store(true) // from the commit on, its shards are the live projection's
	err := r.inTx(ctx, r.hub.pool, func(tx pgx.Tx) error {
		furthest, err := db.New().ProjectionHold(ctx, tx, r.name)
		if err != nil {
			return err
		}
		if !r.inPlace {
			if err := r.comeLevel(ctx, tx, furthest); err != nil {
				return err
			}
			if err := r.swapSchemas(ctx, tx); err != nil {
				return err
			}
		}
		if err := r.requireTables(ctx, tx, r.name, r.tables); err != nil {
			return err
		}
		if err := r.endRequest(ctx, tx); err != nil {
			return err
		}
		return db.New().SubscriptionReplace(ctx, tx, db.SubscriptionReplaceParams{
			Name: r.name, Replacement: r.feed.name, ShardCount: int32(r.Projector.config.Shards),
		})
	})
	if err != nil {
		r.feed.ends.Store(false)
	}
	return err
}

// comeLevel waits until the new tables hold all that the live ones do.
func (r *rebuild) comeLevel(ctx context.Context, tx pgx.Tx, position int64) error {
	patience, cancel := context.WithTimeout(ctx, switchPatience)
	defer cancel()
	err := r.feed.waitFor(patience, tx, position)
	if err != nil && ctx.Err() == nil && patience.Err() != nil {
		return errLate
	}
	return err
}

// swapSchemas renames: readers who name the live schema see the new tables from the commit on. The old ones are dropped later, since that
// waits for those who still read them.
func (r *rebuild) swapSchemas(ctx context.Context, tx pgx.Tx) error {
	if err := r.requireTables(ctx, tx, r.schema, r.tables); err != nil {
		return err
	}
	live, err := r.tablesIn(ctx, tx, r.name)
	if err != nil {
		return err
	}
	if live != uuid.Nil {
		if err := renameSchema(ctx, tx, r.name, r.oldSchema()); err != nil {
			return err
		}
	}
	return renameSchema(ctx, tx, r.schema, r.name)
}
