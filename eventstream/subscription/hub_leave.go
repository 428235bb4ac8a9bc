package subscription

import (
	"context"
	"sync"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/isolation"
)

// leave gives the shards of a run to others, each once its worker has ended. It returns an error if one does not.
func (h *hub) leave(r *run) error {
	r.cancel()
	h.mu.Lock()
	r.leaving = true
	var stuck error
	var once sync.Once
	var workers sync.WaitGroup
	for _, w := range r.workers {
		workers.Go(func() {
			if !w.awaitEnd(r.sub.config.StopTimeout) {
				once.Do(func() {
					stuck = &HandlerStuckError{Subscription: w.sub.name, Shard: w.shard, Limit: r.sub.config.StopTimeout}
				})
			}
			ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
			defer cancel()
			h.release(ctx, r, w.shard, w.epoch)
		})
	}
	h.mu.Unlock()
	workers.Wait()
	h.mu.Lock()
	delete(h.runs, r.sub.name)
	var stop context.CancelFunc
	stopped := h.stopped
	if len(h.runs) == 0 {
		stop, h.stop = h.stop, nil
		h.active.Store(false)
	}
	h.mu.Unlock()
	if stop != nil {
		stop()
		<-stopped
	}
	return stuck
}

// release gives a shard to others; if the database cannot be told, they find out by who lives and what it runs.
func (h *hub) release(ctx context.Context, r *run, shard int, epoch int64) {
	conn, release, err := h.acquire(ctx)
	if err != nil {
		return
	}
	defer release()
	var released bool
	err = isolation.ReadCommitted(ctx, conn, func(tx db.DBTX) (err error) {
		released, err = db.New().ShardRelease(ctx, tx, db.ShardReleaseParams{
			Subscription: r.sub.name, Shard: int32(shard), Epoch: epoch,
		})
		return err
	})
	if err == nil && released {
		r.tell(ShardReleased{Subscription: r.sub.name, Shard: shard, Epoch: epoch})
	}
}
