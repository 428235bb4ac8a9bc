package subscription

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/logend"
)

// repositoryOfNothing is on a pool whose server nobody ever reaches.
func repositoryOfNothing(t *testing.T, config *eventstream.Config) *eventstream.Repository {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://user@127.0.0.1:1/store?connect_timeout=1")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	repo, err := eventstream.NewRepository(pool, config)
	require.NoError(t, err)
	return repo
}

func hubFor(t *testing.T, repo *eventstream.Repository, name string) *hub {
	t.Helper()
	s, err := New(repo, name, EachEvent(func(context.Context, eventstream.LogEvent) error { return nil }), nil)
	require.NoError(t, err)
	return s.hub
}

// All subscriptions of a repository share a hub, whatever transaction the repository is in, and no other repository has it.
func TestSubscriptionsOfARepositoryShareAHub(t *testing.T) {
	t.Parallel()
	repo := repositoryOfNothing(t, nil)
	shared := hubFor(t, repo, "one")
	require.Same(t, shared, hubFor(t, repo, "two"))
	require.Same(t, shared, hubFor(t, repo.WithTx(struct{ pgx.Tx }{}), "three"))
	p, err := NewProjector(repo, Projection{
		Name:  "four",
		Setup: func(context.Context, pgx.Tx, string) error { return nil },
		Apply: func(context.Context, pgx.Tx, string, []eventstream.LogEvent) error { return nil },
	})
	require.NoError(t, err)
	require.Same(t, shared, p.hub)
	require.NotSame(t, shared, hubFor(t, repositoryOfNothing(t, nil), "one"))
	require.False(t, shared.active.Load(), "nothing runs, and nothing was started")
}

// Whatever writes events wakes the poller of its repository, also if it failed on the way back, when nobody knows what was written.
func TestWritesWakeThePollerOfTheirRepository(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]*eventstream.Config{"grouped": nil, "by itself": {Group: eventstream.GroupConfig{Off: true}}} {
		repo := repositoryOfNothing(t, config)
		h := hubFor(t, repo, "reader")
		event, err := eventstream.NewEvent("order.placed", nil)
		require.NoError(t, err)
		ingested := event
		ingested.Version = 1
		for what, write := range map[string]func() error{
			"Append": func() error { _, err := repo.Append(t.Context(), "order-1", eventstream.Any, event); return err },
			"AppendMany": func() error {
				_, err := repo.AppendMany(t.Context(), eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: []eventstream.Event{event}})
				return err
			},
			"Ingest":           func() error { _, err := repo.Ingest(t.Context(), "order-1", ingested); return err },
			"AdvanceWatermark": func() error { _, err := repo.AdvanceWatermark(t.Context(), "order-1"); return err },
		} {
			require.Error(t, write(), what)
			require.Empty(t, h.kick, "%s, %s: nobody runs", what, name)
			h.active.Store(true)
			require.Error(t, write(), what)
			require.Empty(t, h.kick, "%s, %s: all shards have more to read already", what, name)
			h.waiting.Store(1)
			require.Error(t, write(), what)
			require.Len(t, h.kick, 1, "%s, %s", what, name)
			<-h.kick
			h.waiting.Store(0)
			h.active.Store(false)
		}
	}
}

// A shard that has read all that is stable asks for a look at once, and from then on the poller looks often; a hub whose shards all have
// more to read looks as often as the stable position is kept.
func TestPollerLooksOftenWhileAShardWaits(t *testing.T) {
	t.Parallel()
	h := hubFor(t, repositoryOfNothing(t, nil), "reader")
	h.active.Store(true)
	h.isBusy(time.Now())
	p := &poller{hub: h}
	require.Equal(t, logend.KeepEvery, p.pause())
	h.isBusy(time.Now().Add(-time.Hour))
	require.Equal(t, longestPoll, p.pause(), "nothing happens")
	h.isBusy(time.Now())

	h.publish(10)
	got, err := h.waitStable(t.Context(), 9)
	require.NoError(t, err)
	require.Equal(t, int64(10), got)
	require.Empty(t, h.kick, "it has what it wants")

	stable := make(chan int64)
	go func() {
		at, err := h.waitStable(t.Context(), 10)
		assert.NoError(t, err)
		stable <- at
	}()
	<-h.kick
	h.isBusy(time.Now())
	require.Equal(t, shortestPoll, p.pause())
	h.publish(11)
	require.Equal(t, int64(11), <-stable)
	require.Equal(t, logend.KeepEvery, p.pause(), "nobody waits any more")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = h.waitStable(ended, 11)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, h.waiting.Load())
}

// Whoever waits for a checkpoint in this process looks again as soon as a shard has come as far, and not for each batch before.
func TestAMovedCheckpointWakesWhoWaitsForIt(t *testing.T) {
	t.Parallel()
	h := hubFor(t, repositoryOfNothing(t, nil), "reader")
	s := &Subscription{hub: h}
	w := &shardWorker{sub: s, hub: h}
	w.moved(100) // nobody waits
	s.wanted.Store(20)
	one, two := s.moved.next(), s.moved.next()
	w.moved(19)
	require.False(t, isClosed(one))
	w.moved(20)
	require.True(t, isClosed(one) && isClosed(two))
	three := s.moved.next()
	require.False(t, isClosed(three))
	w.raise(21)
	require.True(t, isClosed(three), "what comes without an event counts too")
}
