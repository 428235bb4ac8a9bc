package groupcommit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// database takes its time: a commit lasts, and a key that a stranger has locked is waited for. All times are those of a bubble.
type database struct {
	mu     sync.Mutex
	commit time.Duration
	locked map[string]bool
	// unlocked is closed when keys are given free, and replaced.
	unlocked chan struct{}
	// running is how many statements are under way, most how many ever were.
	running, most, statements int
	held                      map[string]bool
	problem                   string
}

func newDatabase(commit time.Duration) *database {
	return &database{commit: commit, locked: map[string]bool{}, held: map[string]bool{}, unlocked: make(chan struct{})}
}

func (d *database) run(ctx context.Context, items []*item, wait time.Duration) (Verdict, error) {
	d.enter(items)
	defer d.leave(items)
	if err := d.lock(ctx, items, wait); err != nil {
		if ctx.Err() != nil {
			return Failed, err
		}
		return Blocked, err
	}
	d.mu.Lock()
	commit := d.commit
	d.mu.Unlock()
	time.Sleep(commit)
	for _, i := range items {
		i.applied++
	}
	return Settled, nil
}

func (d *database) enter(items []*item) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.statements++
	d.running++
	d.most = max(d.most, d.running)
	for _, i := range items {
		for _, k := range i.keys {
			if d.held[k] {
				d.problem = "key " + k + " is in two statements"
			}
		}
	}
	for _, i := range items {
		for _, k := range i.keys {
			d.held[k] = true
		}
	}
}

func (d *database) leave(items []*item) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	for _, i := range items {
		for _, k := range i.keys {
			delete(d.held, k)
		}
	}
}

// lock waits until no key is locked.
func (d *database) lock(ctx context.Context, items []*item, wait time.Duration) error {
	var timeout <-chan time.Time
	if wait > 0 {
		timeout = time.After(wait)
	}
	for {
		d.mu.Lock()
		blocked := slices.ContainsFunc(items, func(i *item) bool {
			return slices.ContainsFunc(i.keys, func(k string) bool { return d.locked[k] })
		})
		unlocked := d.unlocked
		d.mu.Unlock()
		if !blocked {
			return nil
		}
		select {
		case <-unlocked:
		case <-timeout:
			return errLocked
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// setLocked is what a stranger does.
func (d *database) setLocked(locked bool, keys ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range keys {
		d.locked[k] = locked
	}
	close(d.unlocked)
	d.unlocked = make(chan struct{})
}

// reset forgets how many ran, and says how many did.
func (d *database) reset() (most, statements int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	most, statements = d.most, d.statements
	d.most, d.statements = d.running, 0
	return most, statements
}

func (d *database) set(commit time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commit = commit
}

// inDatabase runs a test with a group on a database, and n callers who make one call after the other, each for a key of its own; next
// gives the longest call since it was called last.
func inDatabase(t *testing.T, config Config, n int, d *database, test func(t *testing.T, g *testGroup, longest func() time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := New(complete(config), d.run)
		var mu sync.Mutex
		var longest time.Duration
		stop := make(chan struct{})
		var callers sync.WaitGroup
		for i := range n {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					began := time.Now()
					i := &item{keys: []string{fmt.Sprint("own", i)}, size: Size{Count: 1}}
					if err := g.Do(context.Background(), i); err != nil || i.applied != 1 {
						panic(fmt.Sprint(err, i.applied))
					}
					mu.Lock()
					longest = max(longest, time.Since(began))
					mu.Unlock()
				}
			})
		}
		defer requireIdle(t, g)
		defer func() {
			d.setLocked(false, slices.Collect(maps.Keys(d.locked))...)
			close(stop)
			callers.Wait()
			time.Sleep(10 * round)
		}()
		test(t, g, func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			was := longest
			longest = 0
			return was
		})
		require.Empty(t, d.problem)
	})
}

// However long a commit takes, as on a managed server, no more batches fly than are to.
func TestAsManyInFlightAsConfiguredAtAnyPace(t *testing.T) {
	t.Parallel()
	for _, commit := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond, 200 * time.Millisecond} {
		for _, callers := range []int{3, 64} {
			t.Run(fmt.Sprint(commit, callers), func(t *testing.T) {
				t.Parallel()
				d := newDatabase(commit)
				inDatabase(t, Config{InFlight: 2, Blocked: 3}, callers, d, func(t *testing.T, g *testGroup, _ func() time.Duration) {
					time.Sleep(30 * commit) // until the pace is known
					most, _ := d.reset()
					if commit < 100*time.Millisecond {
						require.LessOrEqual(t, most, 2, "nor at the beginning")
					}
					time.Sleep(100 * commit)
					most, statements := d.reset()
					require.LessOrEqual(t, most, 2)
					require.LessOrEqual(t, statements, 220)
					require.InEpsilon(t, max(slowFactor*commit, minSlow), slow(g), 0.3)
				})
			})
		}
	}
}

func slow(g *testGroup) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pace.slow()
}

// What counts as slow follows the database, both ways.
func TestPaceFollowsTheDatabase(t *testing.T) {
	t.Parallel()
	d := newDatabase(time.Millisecond)
	inDatabase(t, Config{InFlight: 1, Blocked: 3}, 1, d, func(t *testing.T, g *testGroup, _ func() time.Duration) {
		require.Equal(t, 100*time.Millisecond, slow(g))
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, minSlow, slow(g))
		d.set(50 * time.Millisecond)
		time.Sleep(3 * time.Second)
		require.InEpsilon(t, 200*time.Millisecond, slow(g), 0.3)
		d.set(10 * time.Second)
		time.Sleep(500 * time.Second)
		require.Equal(t, maxSlow, slow(g), "there is an end to it")
		d.set(time.Millisecond)
		time.Sleep(15 * time.Second)
		require.Equal(t, minSlow, slow(g))
	})
}

func TestPaceIsNotMovedFurtherByWhatTakesVeryLong(t *testing.T) {
	t.Parallel()
	p := newPace()
	for range 100 {
		p.note(10 * time.Millisecond)
	}
	usual := p.slow()
	p.note(time.Hour)
	require.Less(t, p.slow(), 60*time.Millisecond)
	p.note(time.Millisecond)
	require.InDelta(t, float64(usual), float64(p.slow()), float64(2*time.Millisecond))
}

// A stranger locks 50 streams. All calls to these together take no more than Blocked statements, the others of the process go on as
// quickly as before, and whoever is free again goes soon.
func TestFiftyLockedKeys(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2, 3} {
		t.Run(fmt.Sprint("Blocked", slots), func(t *testing.T) {
			t.Parallel()
			d := newDatabase(2 * time.Millisecond)
			inDatabase(t, Config{InFlight: 2, Blocked: slots}, 20, d, func(t *testing.T, g *testGroup, longest func() time.Duration) {
				time.Sleep(time.Second)
				keys := make([]string, 50)
				for i := range keys {
					keys[i] = fmt.Sprint("locked", i)
				}
				d.setLocked(true, keys...)
				var calls []*caller
				for _, k := range keys {
					calls = append(calls, startBeside(t, g, k), startBeside(t, g, k+"#2"))
				}
				longest()
				time.Sleep(time.Second)
				require.Less(t, longest(), 200*time.Millisecond, "until it is known which are locked")
				time.Sleep(5 * time.Second)
				require.Less(t, longest(), 10*time.Millisecond, "who has another key does not wait for these")
				most, statements := d.reset()
				require.LessOrEqual(t, most, 2+slots)
				require.Greater(t, statements, 1000)
				// One after the other is given free, the last one first.
				for i := len(keys) - 2; i >= 0; i -= 7 {
					d.setLocked(false, keys[i])
					time.Sleep(2 * round)
					requireDone(t, calls[2*i:2*i+2], true)
				}
				requireDone(t, calls[:2], false)
				require.Less(t, longest(), 10*time.Millisecond)
				d.setLocked(false, keys...)
				time.Sleep(2 * round)
				requireDone(t, calls, true)
				most, _ = d.reset()
				require.LessOrEqual(t, most, 2+slots)
			})
		})
	}
}

// startBeside begins a Do beside callers that never rest.
func startBeside(t *testing.T, g *testGroup, name string) *caller {
	t.Helper()
	key, _, _ := strings.Cut(name, "#")
	c := &caller{item: &item{name: name, keys: []string{key}, size: Size{Count: 1}}}
	finished := make(chan struct{})
	go func() {
		c.err = g.Do(context.Background(), c.item)
		close(finished)
	}()
	c.finished = finished
	time.Sleep(time.Millisecond)
	return c
}

func requireDone(t *testing.T, calls []*caller, done bool) {
	t.Helper()
	for _, c := range calls {
		select {
		case <-c.finished:
			require.True(t, done, c.name)
			require.NoError(t, c.err)
			require.Equal(t, 1, c.applied)
		default:
			require.False(t, done, "%s waits", c.name)
		}
	}
}
