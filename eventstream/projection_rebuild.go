package eventstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

const (
	// rebuildSuffix names the subscription that feeds a rebuild; stagedSuffix and oldSuffix name the schemas of the tables that
	// are being built and of those that were replaced.
	rebuildSuffix, stagedSuffix, oldSuffix = ":rebuild", "_rebuild", "_old"
	// switchPatience is how long the live projection may be kept waiting for the new one to come level.
	switchPatience = 5 * time.Second
)

// RebuildOptions adjusts Projector.Rebuild. Nil and the zero value mean the defaults.
type RebuildOptions struct {
	// InPlace empties the live tables first and fills them again: readers see them grow. Otherwise the new tables are built
	// beside the live ones, which stay up to date meanwhile, and take their place in one transaction once they have come level.
	// Default: false.
	InPlace bool
	// Shards is how many groups of partitions are read and applied at a time: more than one only if Apply does not rely on the
	// order of events of different streams. Default: that of the projection's Config.
	Shards int
}

// Rebuild builds the projection's tables anew from the first event on, with the Setup and Apply of this Projector, and returns
// once the new ones are live. The projection may run meanwhile, in this process or others. A rebuild that was interrupted leaves
// the live tables as they are (with InPlace: paused), and the next one begins anew. Two at once are refused.
func (p *Projector) Rebuild(ctx context.Context, opts *RebuildOptions) error {
	began := time.Now()
	err := p.rebuild(ctx, opts)
	if err == nil {
		t := newTeller(p.name, p.config.Observer)
		t.tell(ProjectionRebuilt{Projection: p.name, Took: time.Since(began)})
		t.close()
	}
	return err
}

func (p *Projector) rebuild(ctx context.Context, opts *RebuildOptions) error {
	if opts == nil {
		opts = &RebuildOptions{}
	}
	config := p.config
	config.From = FromBeginning
	if opts.Shards != 0 {
		config.Shards = opts.Shards
	}
	schema := p.projection.Name + stagedSuffix
	if opts.InPlace {
		schema = p.projection.Name
	}
	feed, err := NewSubscription(p.repo, p.name+rebuildSuffix, p.handler(schema), &config)
	if err != nil {
		return err
	}
	if err := p.prepare(ctx, feed.name, opts.InPlace); err != nil {
		return err
	}
	if err := feed.Create(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- feed.Run(ctx)
	}()
	err = p.takeOver(ctx, feed, opts.InPlace)
	cancel()
	if fed := <-ended; fed != nil {
		return fed
	}
	if err != nil || opts.InPlace {
		return err
	}
	return p.inTx(context.WithoutCancel(ctx), func(tx pgx.Tx) error {
		return dropSchema(context.WithoutCancel(ctx), tx, p.projection.Name+oldSuffix)
	})
}

// prepare makes empty tables to fill, and forgets an earlier attempt.
func (p *Projector) prepare(ctx context.Context, feed string, inPlace bool) error {
	return p.inTx(ctx, func(tx pgx.Tx) error {
		// The live one must be there for the new one to take its place.
		if _, err := p.repo.queries.SubscriptionSubscribe(ctx, tx, p.subscribeParams()); err != nil {
			return err
		}
		if err := p.forget(ctx, tx, feed); err != nil {
			return err
		}
		for _, schema := range []string{p.projection.Name + stagedSuffix, p.projection.Name + oldSuffix} {
			if err := dropSchema(ctx, tx, schema); err != nil {
				return err
			}
		}
		if !inPlace {
			return p.setup(ctx, tx, p.projection.Name+stagedSuffix)
		}
		err := p.repo.queries.SubscriptionPause(ctx, tx, db.SubscriptionPauseParams{Name: p.name, Paused: true})
		if err != nil {
			return err
		}
		if err := dropSchema(ctx, tx, p.projection.Name); err != nil {
			return err
		}
		return p.setup(ctx, tx, p.projection.Name)
	})
}

// forget removes the subscription of an earlier attempt, if there is one that nobody works on.
func (p *Projector) forget(ctx context.Context, tx pgx.Tx, feed string) error {
	shards, err := p.repo.subscriptionLag(ctx, tx, feed)
	if err != nil || len(shards) == 0 {
		return err
	}
	for _, s := range shards {
		if s.State == "owned" {
			return fmt.Errorf("projection %s, by %s: %w", quote(p.name), s.Owner, ErrRebuildRunning)
		}
	}
	return p.repo.queries.SubscriptionDelete(ctx, tx, feed)
}

// takeOver waits until the new tables hold all that was there when it began and all that the live ones hold, and switches.
func (p *Projector) takeOver(ctx context.Context, feed *Subscription, inPlace bool) error {
	look, err := p.repo.lookAtLog(ctx, p.repo.handle)
	if err != nil {
		return mapError(err)
	}
	for {
		if err := feed.WaitFor(ctx, look.StablePosition); err != nil {
			return err
		}
		switched, err := p.trySwitch(ctx, feed, inPlace)
		if err != nil || switched {
			return err
		}
	}
}

// trySwitch stops the live projection where it is, lets the new one come level, and puts it in its place: all in one transaction,
// which is given up if that takes too long.
func (p *Projector) trySwitch(ctx context.Context, feed *Subscription, inPlace bool) (bool, error) {
	late := errors.New("the new tables did not come level in time")
	err := p.inTx(ctx, func(tx pgx.Tx) error {
		furthest, err := p.repo.queries.SubscriptionLock(ctx, tx, p.name)
		if err != nil {
			return err
		}
		patience, cancel := context.WithTimeout(ctx, switchPatience)
		defer cancel()
		if !inPlace {
			if err := feed.waitFor(patience, tx, furthest); err != nil {
				if ctx.Err() == nil && patience.Err() != nil {
					return late
				}
				return err
			}
			if err := p.swapSchemas(ctx, tx); err != nil {
				return err
			}
		}
		return p.repo.queries.SubscriptionReplace(ctx, tx, db.SubscriptionReplaceParams{Name: p.name, Replacement: feed.name})
	})
	if errors.Is(err, late) || SafeToRetry(err) {
		return false, nil
	}
	p.repo.hub.claimSoon.Store(true)
	return err == nil, err
}

// swapSchemas renames: readers who name the live schema see the new tables from the commit on. The old ones are dropped later, since that
// waits for those who still read them.
func (p *Projector) swapSchemas(ctx context.Context, tx pgx.Tx) error {
	name := p.projection.Name
	there, err := schemaExists(ctx, tx, name)
	if err != nil {
		return err
	}
	if there {
		if _, err := tx.Exec(ctx, "ALTER SCHEMA "+identifier(name)+" RENAME TO "+identifier(name+oldSuffix)); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "ALTER SCHEMA "+identifier(name+stagedSuffix)+" RENAME TO "+identifier(name))
	return err
}
