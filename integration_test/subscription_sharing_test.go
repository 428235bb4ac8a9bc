package integration_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// lively is a process that is heard of more often than by default.
var lively = &eventstream.Config{Lease: 3 * time.Second}

// shares is how many shards of a subscription each process owns, in order of number.
const shares = `SELECT coalesce(string_agg(o.n::text, ' ' ORDER BY o.n), '') FROM (
	SELECT count(*) AS n FROM eventstream.audit_subscriptions AS a WHERE a.subscription = $1 AND a.state = 'owned' GROUP BY a.member_id) AS o`

// writeUntil appends to some streams from several callers until the returned function is called.
func writeUntil(t testing.TB, b *bundle, callers, streams int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	var group errgroup.Group
	for caller := range callers {
		group.Go(func() error {
			for i := caller; ctx.Err() == nil; i++ {
				id := eventstream.StreamID(fmt.Sprintf("hot-%d", i%streams))
				if _, err := b.repo.Append(b.ctx, id, eventstream.Any, someEvents(t, 1+i%3)...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// oneAtATime demands that no two batches of one shard are handled at once, by whichever process.
type oneAtATime struct {
	mu   sync.Mutex
	busy map[int]bool
}

func (o *oneAtATime) handler(t testing.TB, shards int) subscription.TxHandler {
	return func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		shard := events[0].PartitionID % shards
		o.set(t, shard, true)
		defer o.set(t, shard, false)
		for _, e := range events {
			if e.PartitionID%shards != shard {
				t.Errorf("shards %d and %d in one batch", shard, e.PartitionID%shards)
			}
		}
		return writeHandled(ctx, tx, events)
	}
}

func (o *oneAtATime) set(t testing.TB, shard int, busy bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy[shard] == busy {
		t.Errorf("two batches of shard %d at once", shard)
	}
	o.busy[shard] = busy
}

// Processes share the shards of a subscription: who joins takes its fair share of those that work, who leaves gives all back, while events
// come in and each is handled once.
func TestSubscriptionProcessesShareShards(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	const shards = 8
	one := &oneAtATime{busy: map[int]bool{}}
	// Nobody dies here, and a shard that a busy machine takes from a process whose lease ran out has two handlers for a moment.
	patient := &eventstream.Config{Lease: 30 * time.Second}
	join := func() *running {
		p := anotherProcess(t, b, patient)
		return run1(t, p, subscribe(t, p, "reader", one.handler(t, shards), &subscription.Config{Shards: shards}))
	}
	stopWriting := writeUntil(t, b, 2, 40)
	first := join()
	awaitSQL(t, b, "8", shares, "reader")
	second := join()
	awaitSQL(t, b, "4 4", shares, "reader")
	third := join()
	awaitSQL(t, b, "2 3 3", shares, "reader")
	join()
	awaitSQL(t, b, "2 2 2 2", shares, "reader")
	first.stop(t)
	awaitSQL(t, b, "2 3 3", shares, "reader")
	second.stop(t)
	third.stop(t)
	awaitSQL(t, b, "8", shares, "reader")
	stopWriting()
	awaitCheckpoint(t, b, subscribe(t, b, "reader", one.handler(t, shards), &subscription.Config{Shards: shards}))
	requireHandledOnce(t, b)
	requireNoRow(t, b, `SELECT shard FROM eventstream.subscription_shards WHERE events = 0`)
}

// More processes than shards: the surplus one waits, and takes over from one that leaves.
func TestSubscriptionMoreProcessesThanShards(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	var runs []*running
	for range 3 {
		p := anotherProcess(t, b, lively)
		runs = append(runs, run1(t, p, subscribe(t, p, "reader", handlerKinds["tx"](b, nil), &subscription.Config{Shards: 2})))
	}
	awaitSQL(t, b, "3", `SELECT count(*)::text FROM eventstream.live_members()`)
	awaitSQL(t, b, "1 1", shares, "reader")
	runs[0].stop(t)
	awaitSQL(t, b, "1 1", shares, "reader")
	runs[1].stop(t)
	awaitSQL(t, b, "2", shares, "reader")
	requireNoRow(t, b, `SELECT a.state FROM eventstream.audit_subscriptions AS a WHERE a.application NOT LIKE '%, process % on %' OR a.lease_until IS NULL`)
}

// Many subscriptions with one shard each spread over the processes, although each of them has nothing to share.
func TestSubscriptionSingleShardsSpread(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 {
		p := anotherProcess(t, b, lively)
		for i := range 20 {
			run1(t, p, subscribe(t, p, fmt.Sprintf("reader-%d", i), subscription.EffectHandler(newJournal().effect), nil))
		}
	}
	awaitSQL(t, b, "20 2", `SELECT format('%s %s', count(*), count(DISTINCT member_id))
		FROM eventstream.audit_subscriptions WHERE state = 'owned'`)
}

// A process that stops one of its subscriptions keeps none of its shards, not even one that it claimed in that moment.
func TestSubscriptionThatStopsKeepsNoShard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := anotherProcess(t, b, lively)
	keepRunning(t, b, subscribe(t, b, "stays", subscription.EffectHandler(newJournal().effect), nil))
	for range 5 {
		s := subscribe(t, b, "goes", subscription.EffectHandler(newJournal().effect), &subscription.Config{Shards: 4})
		ctx, cancel := context.WithCancel(b.ctx)
		ended := start(func() (any, error) { return nil, s.Run(ctx) })
		awaitSQL(t, b, "true", `SELECT (count(*) > 0)::text FROM eventstream.subscriptions WHERE name = 'goes'`)
		cancel()
		require.NoError(t, (<-ended).err)
	}
	run1(t, other, subscribe(t, other, "goes", subscription.EffectHandler(newJournal().effect), &subscription.Config{Shards: 4}))
	awaitSQL(t, b, "4", shares, "goes")

	// As a claim would leave it that the server still worked on when the subscription stopped.
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.subscription_shards SET epoch = epoch + 1, member_id = (
		SELECT member_id FROM eventstream.subscription_shards WHERE subscription = 'stays') WHERE subscription = 'goes' AND shard < 2`)
	awaitSQL(t, b, "4", `SELECT count(*)::text FROM eventstream.subscription_shards AS h
		JOIN eventstream.subscription_members AS m ON m.member_id = h.member_id
		WHERE h.subscription = 'goes' AND m.subscriptions = ARRAY['goes']`)
}
