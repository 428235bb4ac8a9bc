package reading

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// process is what another process would have: a pool and a repository of its own.
type process struct {
	pool *pgxpool.Pool
	repo *eventstream.Repository
}

func (b *benchmark) newProcess(ctx context.Context, application string, config *eventstream.Config) (process, error) {
	pool, err := database.Connect(ctx, b.DSN, connections, application)
	if err != nil {
		return process{}, err
	}
	repo, err := eventstream.NewRepository(pool, config)
	return process{pool: pool, repo: repo}, err
}

// observe reports what a subscription got over.
func (b *benchmark) observe(o subscription.Observation) {
	switch o := o.(type) {
	case subscription.TryFailed:
		fmt.Fprintln(b.log, "tried again:", o.Err)
	case subscription.Interrupted:
		fmt.Fprintln(b.log, "tried again:", o.Err)
	}
}

// start runs a subscription from the end of the log, and returns once it owns its shard.
func (b *benchmark) start(
	ctx context.Context, repo *eventstream.Repository, name string, handler subscription.Handler,
) (stop func(), err error) {
	s, err := subscription.New(repo, name, handler, &subscription.Config{
		From: eventstream.FromLatest, Observer: b.observe,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			fmt.Fprintln(b.log, "subscription ended:", err)
		}
	}
	for {
		lag, err := s.Lag(ctx)
		if err != nil {
			stop()
			return nil, err
		}
		if len(lag) > 0 && lag[0].State == subscription.ShardOwned {
			return stop, nil
		}
		time.Sleep(time.Millisecond)
	}
}
