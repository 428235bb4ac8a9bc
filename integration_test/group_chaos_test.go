package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	chaosCallers = 64
	chaosHot     = 6
	// chaosPatience is how long one call may take; nothing that the test does lasts near as long.
	chaosPatience = 20 * time.Second
)

// chaos is what its callers share.
type chaos struct {
	t    *testing.T
	b    *bundle
	repo *eventstream.Repository
	// versions are about what the hot streams are at, for expectations that have a chance to be right.
	versions [chaosHot]atomic.Int64
	stats    [verdicts]atomic.Int64
	repeated atomic.Int64
}

// Callers of one repository append to hot and cold streams, with every expectation, bad requests, contexts that end and retries, while
// backends are killed and another program holds the hot streams. What each was told is so: an acknowledged append is there once, as told;
// a refused one is not there; one whose outcome is unknown is there whole or not at all; there is nothing else. And no call is forgotten.
func TestGroupChaos(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	ctx, cancel := context.WithTimeout(context.Background(), hammerTime()+2*time.Minute)
	defer cancel()
	b.ctx = ctx
	c := &chaos{t: t, b: b, repo: groupRepo(t, b, eventstream.Config{})}
	for i := range chaosHot {
		_, err := b.repo.Append(ctx, hotStream(i), eventstream.Any, anEvent(t, i))
		require.NoError(t, err)
	}
	callers := make([]*chaosCaller, chaosCallers)
	for i := range callers {
		callers[i] = &chaosCaller{chaos: c, random: rand.New(rand.NewPCG(uint64(i), 11))}
	}
	met := make([]*atomic.Int64, verdicts)
	for verdict := range met {
		met[verdict] = &c.stats[verdict]
	}
	more := hammering(met...)
	helpers, helpersCtx := errgroup.WithContext(ctx)
	stop := make(chan struct{})
	helpers.Go(func() error { return c.kill(helpersCtx, stop) })
	helpers.Go(func() error { return c.holdHeads(helpersCtx, stop) })
	helpers.Go(func() error { return c.watch(callers, cancel, stop) })
	var group errgroup.Group
	pprof.Do(ctx, pprof.Labels("scene", t.Name()), func(ctx context.Context) {
		for _, caller := range callers {
			group.Go(func() error { return caller.run(ctx, more) })
		}
	})
	err := group.Wait()
	close(stop)
	require.NoError(t, errors.Join(err, helpers.Wait()))
	t.Logf("%d acknowledged, %d refused, %d unknown, %d duplicates", c.stats[acknowledged].Load(), c.stats[refused].Load(),
		c.stats[unknown].Load(), c.repeated.Load())
	b.pool.Reset() // The pool does not know yet which of its connections the last kill ended.
	c.verify(callers)
	waitFor(t, func() bool { return !hasGroupGoroutines(t) }, func() string { return "goroutines of the group are left" })
}

func hotStream(i int) eventstream.StreamID { return eventstream.StreamID(fmt.Sprintf("hot-%d", i)) }

// hasGroupGoroutines says whether a goroutine is in the group that calls of this test began.
func hasGroupGoroutines(t *testing.T) bool {
	var profile strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	for _, stack := range strings.Split(profile.String(), "\n\n") {
		if strings.Contains(stack, `"scene":"`+t.Name()+`"`) && strings.Contains(stack, "groupcommit.(*Group") {
			return true
		}
	}
	return false
}

// verify compares what the callers were told with what is in the table.
func (c *chaos) verify(callers []*chaosCaller) {
	c.t.Helper()
	stored := c.stored()
	known := chaosHot
	for _, caller := range callers {
		for _, call := range caller.calls {
			there, err := call.check(stored)
			require.NoError(c.t, err)
			known += there
		}
	}
	require.Len(c.t, stored, known, "there is nothing that nobody appended")
	require.Zero(c.t, number(c.t, c.b.ctx, c.b.pool, `SELECT count(*) FROM (SELECT stream_id FROM eventstream.events
		GROUP BY stream_id HAVING count(*) <> max(version) OR min(version) <> 1) AS g`), "versions have no gap")
	for verdict := range c.stats {
		require.Positive(c.t, c.stats[verdict].Load(), "verdict %d", verdict)
	}
	requireAuditClean(c.t, c.b)
}

// place is where an event is.
type place struct {
	stream            eventstream.StreamID
	version, position int64
}

func (c *chaos) stored() map[uuid.UUID]place {
	c.t.Helper()
	rows, err := c.b.pool.Query(c.b.ctx, `SELECT event_id, stream_id, version, position FROM eventstream.events`)
	require.NoError(c.t, err)
	stored := map[uuid.UUID]place{}
	var id uuid.UUID
	var p place
	_, err = pgx.ForEachRow(rows, []any{&id, &p.stream, &p.version, &p.position}, func() error {
		if _, twice := stored[id]; twice {
			return fmt.Errorf("event %s is there twice", id)
		}
		stored[id] = p
		return nil
	})
	require.NoError(c.t, err)
	return stored
}

// kill ends a backend of the pool now and then.
func (c *chaos) kill(ctx context.Context, stop <-chan struct{}) error {
	conn := session(c.t, c.b)
	if _, err := conn.Exec(ctx, `SET application_name = 'chaos'`); err != nil {
		return err
	}
	for pauseUnless(stop, 30*time.Millisecond) {
		_, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_catalog.pg_stat_activity
			WHERE datname = current_database() AND application_name = $1 AND state <> 'idle' ORDER BY random() LIMIT 1) AS p`, c.t.Name())
		if err != nil {
			return err
		}
	}
	return nil
}

// holdHeads is another program that holds one or two hot streams for up to 100 ms.
func (c *chaos) holdHeads(ctx context.Context, stop <-chan struct{}) error {
	random := rand.New(rand.NewPCG(1, 12))
	conn := session(c.t, c.b)
	if _, err := conn.Exec(ctx, `SET application_name = 'chaos'`); err != nil {
		return err
	}
	for pauseUnless(stop, time.Duration(random.IntN(50))*time.Millisecond) {
		first := random.IntN(chaosHot)
		ids := []string{string(hotStream(first)), string(hotStream(random.IntN(first + 1)))}
		_, err := conn.Exec(ctx, `WITH h AS MATERIALIZED (
				SELECT eventstream.lock_streams($1)
			) SELECT pg_sleep($2) FROM (SELECT count(*) FROM h) AS n`, ids, random.Float64()/10)
		if err != nil && !hasCode(err, "40P01") {
			return err
		}
	}
	return nil
}

// watch ends the test when a call takes too long: nobody woke its caller.
func (c *chaos) watch(callers []*chaosCaller, cancel context.CancelFunc, stop <-chan struct{}) error {
	for pauseUnless(stop, 100*time.Millisecond) {
		for i, caller := range callers {
			if since := caller.since.Load(); since != 0 && time.Since(time.UnixMilli(since)) > chaosPatience {
				stacks := make([]byte, 1<<20)
				stacks = stacks[:runtime.Stack(stacks, true)]
				text := sessionsOf(c.b)
				cancel()
				return fmt.Errorf("a call of caller %d takes over %v\n%s\n%s", i, chaosPatience, text, stacks)
			}
		}
	}
	return nil
}

// pauseUnless waits; it is false when the test is to stop.
func pauseUnless(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-stop:
		return false
	case <-time.After(d):
		return true
	}
}
