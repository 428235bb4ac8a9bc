package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

const (
	processStreams = 24
	processEvents  = 10
	processKeys    = 5
)

// counting counts events of 24 streams by 5 keys, so that each key has events in many shards; it appends an event and sets a timer for each.
func counting(t testing.TB) process.Process[parcel] {
	return process.Process[parcel]{
		Name: "counting",
		Config: &subscription.Config{
			Shards: 8, BatchSize: 7, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond, Observer: logTroubles(t),
		},
		Timers: quickTimers(t),
		Key: func(e eventstream.LogEvent) string {
			var source int
			if _, err := fmt.Sscanf(string(e.StreamID), "source-%d", &source); err != nil {
				return ""
			}
			return fmt.Sprint("key-", (source+int(e.Version))%processKeys)
		},
		On: func(ctx context.Context, s *process.Step[parcel], e eventstream.LogEvent) error {
			s.State.Items++
			_, err := s.Append(ctx, "count", "count-"+eventstream.StreamID(s.Key), eventstream.Any, event(t, "counted"))
			return errors.Join(err, s.After(ctx, fmt.Sprint("timer-", e.StreamID, "-", e.Version), 10*time.Millisecond, nil))
		},
		OnTimer: func(ctx context.Context, s *process.Step[parcel], _ process.Timer) error {
			s.State.Overdue++
			_, err := s.Append(ctx, "timed", "timed-"+eventstream.StreamID(s.Key), eventstream.Any, event(t, "timed"))
			return err
		},
	}
}

// appendSources appends what counting counts.
func appendSources(t testing.TB, b *bundle) {
	t.Helper()
	appendRounds(t, b, processEvents)
}

// appendRounds appends a part of it: so many events to each stream.
func appendRounds(t testing.TB, b *bundle, rounds int) {
	t.Helper()
	for range rounds {
		for i := range processStreams {
			add(t, b, eventstream.StreamID(fmt.Sprint("source-", i)), "source")
		}
	}
}

// requireProcessCounted demands that each event was counted once, in the states and in the events of the process, and each timer fired once.
func requireProcessCounted(t testing.TB, b *bundle) {
	t.Helper()
	const all = processStreams * processEvents
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM eventstream.timers`)
	awaitSQL(t, b, fmt.Sprintf("%d %d", all, all), `SELECT format('%s %s', sum((state ->> 'Items')::integer),
		sum((state ->> 'Overdue')::integer)) FROM eventstream.process_states`)
	for _, kind := range []string{"counted", "timed"} {
		require.EqualValues(t, all, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE type = $1`, kind))
	}
	requireAuditClean(t, b)
}

// Events of several shards about the same keys, and timers that are due all the time, add up exactly.
func TestProcessHammer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var first *process.Manager[parcel]
	for range 2 {
		first = newManager(t, anotherProcess(t, b, nil), counting(t))
		keepRunning(t, b, first)
	}
	appendSources(t, b)
	awaitCheckpoint(t, b, first.Subscription)
	requireProcessCounted(t, b)
}

// TestProcessChild is one of the processes of TestProcessesOfAProcessAreKilled. It ends with its parent.
func TestProcessChild(t *testing.T) {
	dsn := os.Getenv(childDSN)
	require.NotEmpty(t, dsn, "runs as a child process only")
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	pool := newPool(t, dsn, withMaxConns(10))
	repo, err := eventstream.NewRepository(pool, &eventstream.Config{Lease: 2 * time.Second})
	require.NoError(t, err)
	require.NoError(t, newManager(t, &bundle{ctx: ctx, dsn: dsn, pool: pool, repo: repo}, counting(t)).Run(ctx))
}

// Processes that run a process manager are killed and started again at random: each event is counted once, each timer fires once.
func TestProcessesOfAProcessAreKilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	children := []*child{spawn(t, b, "TestProcessChild"), spawn(t, b, "TestProcessChild")}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	done := func() int64 {
		return number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE type IN ('counted', 'timed')`)
	}
	kills, rounds := 0, 0
	for done() < 2*processStreams*processEvents {
		// Half of it little by little, so that however much happens between two looks, there is work left for three kills and more.
		if rounds < processEvents/2 {
			rounds++
			appendRounds(t, b, 1)
		} else if rounds < processEvents {
			appendRounds(t, b, processEvents-rounds)
			rounds = processEvents
		}
		at := min(done()+1+random.Int64N(100), int64(2*processStreams*rounds))
		awaitSQL(t, b, "true", `SELECT (count(*) >= $1)::text FROM eventstream.events WHERE type IN ('counted', 'timed')`, at)
		victim := random.IntN(len(children))
		children[victim].kill()
		kills++
		children[victim] = spawn(t, b, "TestProcessChild")
	}
	awaitCheckpoint(t, b, newManager(t, b, counting(t)).Subscription)
	requireProcessCounted(t, b)
	for _, c := range children {
		c.leave(t)
	}
	t.Logf("%d kills", kills)
	require.GreaterOrEqual(t, kills, 3)
}
