package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/logend"
	"github.com/gaplesspg/gapless/internal/pause"
)

const (
	// shortestPoll and longestPoll bound the pause between two looks at the log; it grows with the time since something happened.
	shortestPoll, longestPoll = 5 * time.Millisecond, 250 * time.Millisecond
	// pollShare is the pause as a part of that time: what happens regularly is seen within a fortieth of its interval.
	pollShare = 40
	// pollGap is the shortest time from one look to the next, however many appends ask for one.
	pollGap = time.Millisecond
	// idleEvery is how often checkpoints move over events that were for nobody here.
	idleEvery = 250 * time.Millisecond
	// claimsPerLease is how often a process is heard of in the time after which it would lose its shards.
	claimsPerLease = 5
	// slowestClaim bounds the time until the shards of a dead process are claimed.
	slowestClaim = time.Second
)

// errNotMember ends a membership whose lock is not where the database is: what was read there is of a log that may have gone back.
var errNotMember = errors.New("the server that answers does not have the lock of this process: its connection was lost, or goes to another server")

// poller is what the poll loop remembers, as long as the membership lasts.
type poller struct {
	*hub
	// pool is the hub's own, which nobody else can use up.
	pool                              *pgxpool.Pool
	member                            int64
	keepAt, idleAt, claimedAt, heldAt time.Time
}

// poll looks at the log, claims shards and moves idle checkpoints, until ctx ends or, with an error, the lease cannot be kept. It runs one
// query at a time, so that a process costs one connection for it, whatever the number of its subscriptions.
func (h *hub) poll(ctx context.Context, member int64) error {
	p := &poller{hub: h, pool: h.own, member: member, heldAt: time.Now()}
	// The server of an earlier membership may have been ahead of this one.
	h.publish(0)
	h.isBusy(time.Now())
	for {
		began := time.Now()
		// What takes longer than the lease will not be in time.
		limited, cancel := context.WithTimeout(ctx, h.settings.Lease)
		err := p.look(limited, began)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		rest := p.pause()
		if err != nil {
			h.report(explain(h.core, err))
			rest = longestPoll
			if errors.Is(err, errNotMember) {
				return err
			}
			if time.Since(p.heldAt) > h.settings.Lease {
				return fmt.Errorf("shards given up, since the lease of %s could not be kept: %w", h.settings.Lease, err)
			}
		}
		if p.wait(ctx, rest) != nil || pause.For(ctx, pollGap-time.Since(began)) != nil {
			return nil
		}
	}
}

func (h *hub) isBusy(now time.Time) { h.busy.Store(&now) }

// wait pauses, unless somebody kicks.
func (p *poller) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.kick:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (p *poller) pause() time.Duration {
	shortest := shortestPoll
	if p.waiting.Load() == 0 {
		shortest = logend.KeepEvery // until a shard has read all that is stable, and asks for a look
	}
	quiet := time.Since(*p.busy.Load())
	return min(max(quiet/pollShare, shortest), longestPoll)
}

// look does what is due.
func (p *poller) look(ctx context.Context, now time.Time) error {
	seen, err := logend.Look(ctx, p.pool)
	if err != nil {
		return err
	}
	answered := time.Now()
	p.seen.Store(&answered)
	if p.publish(seen.StablePosition) {
		p.isBusy(now)
	}
	if every := min(p.settings.Lease/claimsPerLease, slowestClaim); p.claimSoon.Swap(false) || now.Sub(p.claimedAt) >= every {
		if err := p.claim(ctx); err != nil {
			return err
		}
		p.claimedAt, p.heldAt = now, now
	}
	if seen.Due && !now.Before(p.keepAt) {
		p.keepAt = now.Add(logend.KeepEvery)
		if err := p.keepStable(ctx); err != nil {
			// Nobody waits for it: it is told, and tried again.
			p.keepAt = now.Add(slowestClaim)
			p.report(explain(p.core, err))
		}
	}
	if now.Sub(p.idleAt) >= idleEvery || p.wanted() {
		p.idleAt = now
		return p.moveIdle(ctx)
	}
	return nil
}

// keepStable stores the stable position for standbys and for numbering, and tells others who listen.
func (p *poller) keepStable(ctx context.Context) error {
	if err := logend.Keep(ctx, p.pool, logend.KeepEvery/2); err != nil {
		return err
	}
	if p.settings.Notify {
		return db.New().LogNotify(ctx, p.pool)
	}
	return nil
}

func (p *poller) claim(ctx context.Context) error {
	var rows []db.ShardClaimRow
	var requests []db.ProjectionRebuildRequestsRow
	err := isolation.ReadCommitted(ctx, p.pool, func(tx db.DBTX) (err error) {
		rows, err = db.New().ShardClaim(ctx, tx, db.ShardClaimParams{
			MemberID:      p.member,
			Application:   p.application(),
			Subscriptions: p.names(),
			LeaseMs:       p.settings.Lease.Milliseconds(),
		})
		if err == nil {
			requests, err = p.readRequests(ctx, tx)
		}
		if err != nil || len(rows) > 0 {
			return err
		}
		held, err := db.New().MemberIsHeld(ctx, tx, p.member)
		if err == nil && !held {
			err = errNotMember
		}
		return err
	})
	if err != nil {
		return err
	}
	owned := map[string][]db.ShardClaimRow{}
	for _, row := range rows {
		owned[row.Subscription] = append(owned[row.Subscription], row)
	}
	p.obeyAll(requests)
	surplus := p.assignAll(owned)
	if len(surplus) == 0 {
		return nil
	}
	return isolation.ReadCommitted(ctx, p.pool, func(tx db.DBTX) error {
		for _, row := range surplus {
			_, err := db.New().ShardRelease(ctx, tx, db.ShardReleaseParams{
				Subscription: row.Subscription, Shard: row.Shard, Epoch: row.Epoch,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// assignAll makes the workers follow what the process owns, and returns what it owns too much of and nobody works on.
func (h *hub) assignAll(owned map[string][]db.ShardClaimRow) (surplus []db.ShardClaimRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, r := range h.runs {
		surplus = append(surplus, h.assign(r, owned[name])...)
	}
	return surplus
}

// assign starts a worker for each shard that is owned and has none, stops those whose shard is not owned any more, and lets
// those above the fair share finish what they do and go. It returns those above it without a worker. The caller holds mu.
func (h *hub) assign(r *run, rows []db.ShardClaimRow) (surplus []db.ShardClaimRow) {
	kept := map[int]bool{}
	for i, row := range rows {
		shard := int(row.Shard)
		w := r.workers[shard]
		switch above := i >= int(row.Share); {
		case w != nil && !w.ended() && w.epoch == row.Epoch:
			if above && w.overdue() {
				surplus = append(surplus, row)
				continue
			}
		case above || r.leaving:
			surplus = append(surplus, row)
			continue
		default:
			r.workers[shard] = startWorker(h, r, shard, row.Epoch, w)
		}
		kept[shard] = true
	}
	for shard, w := range r.workers {
		if !kept[shard] {
			w.cancel()
			if w.ended() {
				delete(r.workers, shard)
			}
		}
	}
	return surplus
}

// cancelWorkers ends all workers: their shards are lost, or will be. It waits for none: a worker of the same shard waits for the one
// before it, and a handler that does not come to an end is in the way of its own shard alone.
func (h *hub) cancelWorkers() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		for _, w := range r.workers {
			w.cancel()
		}
	}
}

// wanted says whether somebody waits for a checkpoint that only an idle move will bring.
func (h *hub) wanted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		for _, w := range r.workers {
			if at := w.checkpoint.Load(); at < r.sub.wanted.Load() && at < w.idle.Load() {
				return true
			}
		}
	}
	return false
}

// moveIdle writes how far shards have come without an event for them.
func (p *poller) moveIdle(ctx context.Context) error {
	var params db.ShardMoveIdleCheckpointsParams
	var moved []*shardWorker
	p.mu.Lock()
	for name, r := range p.runs {
		for shard, w := range r.workers {
			idle := w.idle.Load()
			if idle <= w.checkpoint.Load() || w.ended() {
				continue
			}
			moved = append(moved, w)
			params.Subscriptions = append(params.Subscriptions, name)
			params.Shards = append(params.Shards, int32(shard))
			params.Epochs = append(params.Epochs, w.epoch)
			params.Positions = append(params.Positions, idle)
		}
	}
	p.mu.Unlock()
	if params.Shards == nil {
		return nil
	}
	var reached int64
	err := isolation.ReadCommitted(ctx, p.pool, func(tx db.DBTX) (err error) {
		reached, err = db.New().ShardMoveIdleCheckpoints(ctx, tx, params)
		return err
	})
	if err != nil {
		return err
	}
	// One that somebody holds (a reshard) is tried again.
	if reached == int64(len(moved)) {
		for i, w := range moved {
			w.raise(params.Positions[i])
		}
	}
	return nil
}

// raise notes that the checkpoint was moved, unless it is further by now.
func (w *shardWorker) raise(position int64) {
	for at := w.checkpoint.Load(); at < position && !w.checkpoint.CompareAndSwap(at, position); {
		at = w.checkpoint.Load()
	}
	w.sub.reached(position)
}
