package integration_test

import (
	"context"
	"errors"
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
	"github.com/gaplesspg/gapless/eventstream/process"
)

const timersChild = "TestTimersChild"

// TestTimersChild is one of the processes of TestTimersProcessesAreKilled. It ends with its parent.
func TestTimersChild(t *testing.T) {
	dsn := os.Getenv(childDSN)
	require.NotEmpty(t, dsn, "runs as a child process only")
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	pool := newPool(t, dsn)
	b := &bundle{ctx: ctx, dsn: dsn, pool: pool, repo: repoOn(t, pool)}
	require.NoError(t, newTimers(t, b, fireAndAppend(b.repo), quickTimers(t)).Run(ctx))
}

// fireAndAppend writes down that a timer fired, and appends an event with an id of the timer's.
func fireAndAppend(repo *eventstream.Repository) process.TimerHandler {
	return func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		event, err := eventstream.NewEvent("reminder.fired", nil,
			eventstream.WithEventID(process.EventID(timer.ID, timer.Process, "fired", 0)))
		if err != nil {
			return err
		}
		_, err = repo.WithTx(tx).Append(ctx, eventstream.StreamID("reminder-"+timer.Key), eventstream.Any, event)
		return errors.Join(err, writeFired(ctx, tx, timer))
	}
}

// spawn starts this program once more, as the one of its tests that is no test.
func spawn(t *testing.T, b *bundle, name string) *child {
	t.Helper()
	c := &child{cmd: osexec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.count=1"), out: &strings.Builder{}}
	c.cmd.Env = append(os.Environ(), childDSN+"="+b.dsn)
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

// Timers that are due within a short time are handled by processes that are killed and started again at random: each fires once, and each
// appends its event once. With GAPLESS_TEST_LONG, these are 10,000 within a minute.
func TestTimersProcessesAreKilled(t *testing.T) {
	t.Parallel()
	const atLeast = 5 // kills
	count, step, within := int64(240), int64(50), 3*time.Second
	if longForm() {
		count, step, within = 10_000, 500, time.Minute
	}
	b := withFired(t, setup(t))
	if longForm() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		defer cancel()
		b.ctx = ctx
	}
	set := func(first, last int64, within time.Duration) {
		execSQL(t, b.ctx, b.pool, `SELECT eventstream.set_timer('reminders', 'key-' || n, 'remind', p_after => (n - $1 + 1) * $3::interval / ($2 - $1 + 1))
			FROM generate_series($1::bigint, $2::bigint) AS n`, first, last, within)
	}
	set(1, count, within)
	children := []*child{spawn(t, b, timersChild), spawn(t, b, timersChild), spawn(t, b, timersChild)}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	fired := func() int64 { return number(t, b.ctx, b.pool, `SELECT count(*) FROM public.fired`) }
	began := time.Now()
	kills := 0
	for left := count; left > 0 || kills < atLeast; left = number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.timers`) {
		if left == 0 { // more than a step fires between two looks of a test that has little of the machine
			set(count+1, count+step, within*time.Duration(step)/time.Duration(count))
			count += step
		}
		// Once some more have fired, so that a process dies at work.
		at := min(fired()+1+random.Int64N(step), count)
		awaitSQL(t, b, "true", `SELECT (count(*) >= $1)::text FROM public.fired`, at)
		victim := random.IntN(len(children))
		children[victim].kill()
		kills++
		children[victim] = spawn(t, b, timersChild)
	}
	took := time.Since(began)
	for _, c := range children {
		c.leave(t)
	}
	t.Logf("%d timers, the first of them due within %s, %d kills, all fired after %s", count, within, kills, took.Round(time.Millisecond))
	require.GreaterOrEqual(t, kills, atLeast)
	require.EqualValues(t, count, fired())
	requireNoRow(t, b, `SELECT key, count(*) FROM public.fired GROUP BY key HAVING count(*) <> 1`)
	requireNoRow(t, b, `SELECT stream_id FROM eventstream.streams WHERE current_version <> 1`)
	require.EqualValues(t, count, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	requireAuditClean(t, b)
}

// Many runners in one process, on one pool each, race for the same timers, while these are cancelled and set again: what is not cancelled fires
// once for each setting.
func TestTimersHammer(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	for range 4 {
		run1(t, b, newTimers(t, anotherProcess(t, b, nil), writeFired, quickTimers(t)))
	}
	execSQL(t, b.ctx, b.pool, `CREATE TABLE public.settings (key text, cancelled boolean)`)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	cancels := 0
	for n := range 400 {
		ref := reminder(fmt.Sprint("key-", n))
		require.NoError(t, process.After(b.ctx, b.repo, ref, time.Duration(random.IntN(20))*time.Millisecond, nil))
		if random.IntN(3) == 0 {
			cancelled, err := process.Cancel(b.ctx, b.repo, ref)
			require.NoError(t, err)
			if cancelled {
				cancels++
			}
			execSQL(t, b.ctx, b.pool, `INSERT INTO public.settings VALUES ($1, $2)`, ref.Key, cancelled)
			continue
		}
		execSQL(t, b.ctx, b.pool, `INSERT INTO public.settings VALUES ($1, false)`, ref.Key)
	}
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM eventstream.timers`)
	requireNoRow(t, b, `SELECT s.key, s.cancelled, count(f.key) FROM public.settings AS s LEFT JOIN public.fired AS f ON f.key = s.key
		GROUP BY 1, 2 HAVING count(f.key) <> CASE WHEN s.cancelled THEN 0 ELSE 1 END`)
	t.Logf("%d of 400 were cancelled before they fired", cancels)
}
