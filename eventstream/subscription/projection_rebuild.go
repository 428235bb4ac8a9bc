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
	"github.com/gaplesspg/gapless/internal/shown"
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

// rebuild is one Projector.Rebuild.
type rebuild struct {
	*Projector
	inPlace bool
	config  Config
	// schema is where the new tables grow, and tables which these are.
	schema string
	tables uuid.UUID
	// feed fills them.
	feed *Subscription
	// request is what the rebuild was requested by, and by who did it; zero if it was called.
	request uuid.UUID
	by      string
	// live says that the new tables are.
	live bool
}

// Rebuild builds the projection's tables anew from the first event on, with the Setup, Apply and Config of this Projector, and returns
// once the new ones are live: so it is how a projection gets another filter, other tables or another number of shards, and how it
// is mended after a *ProjectionMismatchError. What was skipped on record stays skipped.
//
// The projection may run meanwhile, in this process or others; those that run it with another filter or number of shards get a
// *MismatchError once the new tables are live. A rebuild that was interrupted leaves the live tables as they are (with
// InPlace: incomplete, and nobody works on them), and the next one removes what it left and begins anew. Of two at once, the second one
// returns ErrRebuildRunning. A projection that somebody has paused is still paused afterwards.
//
// RequestRebuild lets a process that runs the projection do it.
func (p *Projector) Rebuild(ctx context.Context, opts *RebuildOptions) error {
	r := p.rebuildWith(opts)
	if err := r.config.validate(); err != nil {
		return err
	}
	return p.underLock(ctx, r.do)
}

// underLock does something as the one process that rebuilds the projection. Its context ends with the lock.
func (p *Projector) underLock(ctx context.Context, do func(locked context.Context) error) error {
	if err := p.hub.checkPool(); err != nil {
		return err
	}
	locked, release, err := p.lockRebuild(ctx)
	if err != nil {
		return err
	}
	defer release()
	err = do(locked)
	if cause := context.Cause(locked); err != nil && errors.Is(cause, errRebuildLockLost) && ctx.Err() == nil {
		return fmt.Errorf("rebuild of projection %s: %w; rebuild it again", shown.Quote(p.name), cause)
	}
	return err
}

// do rebuilds, under the lock, and tells the observer.
func (r *rebuild) do(ctx context.Context) error {
	began := time.Now()
	err := r.run(ctx)
	if err == nil {
		r.tellOnce(ProjectionRebuilt{Projection: r.name, Took: time.Since(began)})
	}
	return err
}

// tellOnce tells the observer of something that is of no Run, and waits until it was told.
func (p *Projector) tellOnce(o Observation) {
	told := newTeller(p.name, p.config.Observer)
	told.tell(o)
	told.close()
}

// rebuildWith is a rebuild as the options say. Their values are the caller's to check.
func (p *Projector) rebuildWith(opts *RebuildOptions) *rebuild {
	if opts == nil {
		opts = &RebuildOptions{}
	}
	r := &rebuild{Projector: p, inPlace: opts.InPlace, config: p.config, schema: p.stagedSchema()}
	if opts.InPlace {
		r.schema = p.name
	}
	r.config.From = eventstream.FromBeginning
	if opts.Shards != 0 {
		r.config.Shards = opts.Shards
	}
	return r
}

func (r *rebuild) run(ctx context.Context) error {
	if err := r.checkPartitions(ctx, r.hub.pool); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := r.stageTables(ctx); err != nil {
		return err
	}
	if err := r.fill(ctx); err != nil {
		return r.named(err)
	}
	return r.tidyUp(ctx)
}

// tidyUp drops the tables that were replaced. It waits for those who still read them, and where the context has ended, not for long.
func (r *rebuild) tidyUp(ctx context.Context) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
	}
	err := r.inTx(ctx, r.hub.pool, func(tx pgx.Tx) error { return r.dropTables(ctx, tx, r.oldSchema()) })
	if err != nil {
		return fmt.Errorf("projection %s is rebuilt, and its new tables are live, but the old ones are still in schema %s: %w; "+
			"the next rebuild drops them", shown.Quote(r.name), r.oldSchema(), err)
	}
	return nil
}

// begin makes the feed, and forgets those of earlier attempts. It is committed before tables are touched: who still writes for one of
// these waits for this, and DROP would wait for them.
func (r *rebuild) begin(ctx context.Context) error {
	var begun db.ProjectionBeginRebuildRow
	err := r.inTx(ctx, r.hub.pool, func(tx pgx.Tx) (err error) {
		begun, err = db.New().ProjectionBeginRebuild(ctx, tx, db.ProjectionBeginRebuildParams{
			Name: r.name, ShardCount: int32(r.Projector.config.Shards), RebuildShardCount: int32(r.config.Shards),
			Filter: filterJSON(r.filter), InPlace: r.inPlace,
		})
		return err
	})
	if err != nil {
		return err
	}
	r.tables = begun.TablesID
	r.feed, err = r.subscription(r.repo, begun.Rebuild, r.schema, &r.config)
	if err == nil {
		r.feed.slots = make(chan struct{}, 1)
	}
	return err
}

// stageTables makes the empty tables that are to be filled, in place of those that earlier attempts left.
func (r *rebuild) stageTables(ctx context.Context) error {
	return r.inTx(ctx, r.hub.pool, func(tx pgx.Tx) error {
		for _, schema := range []string{r.stagedSchema(), r.oldSchema()} {
			if err := r.dropTables(ctx, tx, schema); err != nil {
				return err
			}
		}
		if r.inPlace {
			if err := r.dropTables(ctx, tx, r.schema); err != nil {
				return err
			}
		}
		return r.makeTables(ctx, tx, r.schema, r.tables)
	})
}

// fill runs the feed until the new tables are live.
func (r *rebuild) fill(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- r.feed.Run(ctx)
	}()
	err := r.takeOver(ctx)
	cancel()
	if fed := <-ended; fed != nil && err != nil {
		return fed
	}
	return err
}

// named lets an error of the feed name the projection: that is where an event is skipped.
func (r *rebuild) named(err error) error {
	var stopped *HandlerError
	if errors.As(err, &stopped) {
		named := *stopped
		named.Subscription = r.name
		err = &named
	}
	return fmt.Errorf("rebuild of projection %s: %w", shown.Quote(r.name), err)
}
