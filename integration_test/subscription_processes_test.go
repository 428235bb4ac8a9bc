package integration_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

const (
	// killing is how long processes are killed and started again; on a busy machine until some were.
	killing     = 6 * time.Second
	leastKills  = 8
	childDSN    = "GAPLESS_TEST_SUBSCRIBE"
	childMode   = "GAPLESS_TEST_SUBSCRIBE_MODE"
	childShards = 8
)

// countTx is a projection that must see each event of a stream exactly once and in order: it fails where that is not so.
func countTx(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
	batch := &pgx.Batch{}
	for _, e := range events {
		batch.Queue(`INSERT INTO public.counts AS c (stream_id, events, last_version, checksum) VALUES ($1, 1, $2, $3)
			ON CONFLICT (stream_id) DO UPDATE SET events = c.events + 1, last_version = EXCLUDED.last_version, checksum = c.checksum # EXCLUDED.checksum
			WHERE c.last_version = EXCLUDED.last_version - 1 RETURNING 1`, string(e.StreamID), e.Version, e.Position).QueryRow(func(row pgx.Row) error {
			var one int
			if err := row.Scan(&one); err != nil {
				return fmt.Errorf("version %d of %s is not the next one: %w", e.Version, e.StreamID, err)
			}
			return nil
		})
	}
	return tx.SendBatch(ctx, batch).Close()
}

// noteEffect writes down what came, each time that it comes, with the checkpoint of its shard at that moment.
func noteEffect(repo eventstream.Handle) subscription.EffectHandler {
	return func(ctx context.Context, events []eventstream.LogEvent) error {
		var checkpoint int64
		err := repo.QueryRow(ctx, `SELECT position FROM eventstream.subscription_shards WHERE subscription = 'reader' AND shard = $1`,
			events[0].PartitionID%childShards).Scan(&checkpoint)
		if err != nil {
			return err
		}
		var positions, versions []int64
		var streams []string
		for _, e := range events {
			positions, versions, streams = append(positions, e.Position), append(versions, e.Version), append(streams, string(e.StreamID))
		}
		_, err = repo.Exec(ctx, `INSERT INTO public.effects (position, stream_id, version, checkpoint)
			SELECT u.*, $4 FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS u`, positions, streams, versions, checkpoint)
		return err
	}
}

// childSubscription is what each process runs.
func childSubscription(t *testing.T, b *bundle, mode string) *subscription.Subscription {
	t.Helper()
	var handler subscription.Handler = subscription.TxHandler(countTx)
	if mode == "effect" {
		handler = noteEffect(b.pool)
	}
	return subscribe(t, b, "reader", handler, &subscription.Config{
		Shards: childShards, BatchSize: 20, MinBackoff: time.Millisecond, MaxTries: 3,
	})
}

// TestSubscriptionChild is one of the processes of TestSubscriptionProcessesAreKilled. It ends with its parent.
func TestSubscriptionChild(t *testing.T) {
	dsn := os.Getenv(childDSN)
	require.NotEmpty(t, dsn, "runs as a child process only")
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	pool := newPool(t, dsn)
	repo, err := eventstream.NewRepository(pool, &eventstream.Config{Lease: 5 * time.Second})
	require.NoError(t, err)
	b := &bundle{ctx: ctx, dsn: dsn, pool: pool, repo: repo}
	require.NoError(t, childSubscription(t, b, os.Getenv(childMode)).Run(ctx))
}

// child is a process; its standard input keeps it alive.
type child struct {
	cmd   *osexec.Cmd
	stdin io.Closer
	out   *strings.Builder
}

func startChild(t *testing.T, b *bundle, mode string) *child {
	t.Helper()
	c := &child{cmd: osexec.Command(os.Args[0], "-test.run=^TestSubscriptionChild$", "-test.count=1"), out: &strings.Builder{}}
	c.cmd.Env = append(os.Environ(), childDSN+"="+b.dsn, childMode+"="+mode)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	var err error
	c.stdin, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		if t.Failed() {
			t.Log(c.out)
		}
	})
	return c
}

// kill ends the process as the kernel would: nothing of it runs any more.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// leave tells the process to end, and waits for it.
func (c *child) leave(t *testing.T) {
	t.Helper()
	require.NoError(t, c.stdin.Close())
	require.NoError(t, c.cmd.Wait(), c.out)
}

// Three processes share eight shards, and are killed and started again at random while eight writers append. In the end the projection
// equals a recount from the events, exactly; a handler of effects got each event at least once, none of them again once its checkpoint was
// moved, and the versions of a stream in order but for what comes again.
func TestSubscriptionProcessesAreKilled(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"tx", "effect"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := setup(t, withMaxConns(12))
			execSQL(t, b.ctx, b.pool, `CREATE TABLE public.counts (stream_id text PRIMARY KEY, events bigint, last_version bigint, checksum bigint)`)
			execSQL(t, b.ctx, b.pool, `CREATE TABLE public.effects (id bigint GENERATED ALWAYS AS IDENTITY,
				position bigint, stream_id text, version bigint, checkpoint bigint)`)
			children := []*child{startChild(t, b, mode), startChild(t, b, mode), startChild(t, b, mode)}
			awaitSQL(t, b, "true", `SELECT (count(*) = 3)::text FROM eventstream.live_members()`)
			stopWriting := writeUntil(t, b, 8, 60)
			random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
			kills := 0
			for end := time.Now().Add(killing); kills < leastKills || time.Now().Before(end); kills++ {
				at := drawn(t, b) + 10 + random.Int64N(60)
				awaitSQL(t, b, "true", `SELECT (eventstream.last_position() >= $1 AND (SELECT count(*) > 1 FROM eventstream.live_members()))::text`, at)
				victim := random.IntN(len(children))
				children[victim].kill()
				children[victim] = startChild(t, b, mode)
			}
			stopWriting()
			awaitCheckpoint(t, b, childSubscription(t, b, mode))
			for _, c := range children {
				c.leave(t)
			}
			epochs := number(t, b.ctx, b.pool, `SELECT max(epoch) - min(epoch) FROM eventstream.subscription_shards`)
			t.Logf("%d kills, %d events, epochs %d apart", kills, drawn(t, b), epochs)
			requireNoRow(t, b, `SELECT shard FROM eventstream.audit_subscriptions WHERE state = 'owned'`)
			if mode == "effect" {
				requireEffectsInOrder(t, b)
			} else {
				requireCounts(t, b)
			}
			requireAuditClean(t, b)
		})
	}
}

// requireCounts compares the projection with a recount from the events.
func requireCounts(t *testing.T, b *bundle) {
	t.Helper()
	const recount = `SELECT stream_id::text, count(*), max(version)::bigint, bit_xor(position) FROM eventstream.events GROUP BY stream_id`
	const counts = `SELECT stream_id, events, last_version, checksum FROM public.counts`
	requireNoRow(t, b, `(SELECT 'missing', * FROM (`+recount+` EXCEPT `+counts+`) AS m) UNION ALL (SELECT 'surplus', * FROM (`+counts+` EXCEPT `+recount+`) AS s)`)
	require.Equal(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`),
		number(t, b.ctx, b.pool, `SELECT sum(events) FROM eventstream.subscription_shards`), "each shard counts what it handled")
}

func requireEffectsInOrder(t *testing.T, b *bundle) {
	t.Helper()
	requireNoRow(t, b, `SELECT position FROM eventstream.events EXCEPT SELECT position FROM public.effects LIMIT 20`)
	requireNoRow(t, b, `SELECT position, checkpoint FROM public.effects WHERE position <= checkpoint LIMIT 20`)
	// Each version comes first after the one before it.
	requireNoRow(t, b, `
		SELECT stream_id, version FROM (
			SELECT stream_id, version, first, lag(first) OVER (PARTITION BY stream_id ORDER BY version) AS before
			FROM (SELECT stream_id, version, min(id) AS first FROM public.effects GROUP BY stream_id, version) AS f) AS o
		WHERE before > first LIMIT 20`)
}
