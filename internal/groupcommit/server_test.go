package groupcommit

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// item is what tests send. Its name says what its keys are: "a+b" has two.
type item struct {
	name     string
	keys     []string
	size     Size
	detached int
	// applied is how often it was.
	applied int
}

func (i *item) Keys() []string { return i.keys }
func (i *item) Size() Size     { return i.size }
func (i *item) Detach()        { i.detached++ }

type (
	testGroup  = Group[string, *item]
	testAnswer func(items []*item, wait time.Duration) (Verdict, error)
)

// server stands in for the database: it notes each statement, holds it until told, and then applies it, or does what answer says.
type server struct {
	t      *testing.T
	answer testAnswer

	mu   sync.Mutex
	sent []*statement
}

// statement is one on its way.
type statement struct {
	ctx     context.Context //nolint:containedctx // what the statement ran under is what tests look at
	items   []*item
	wait    time.Duration
	release chan struct{}
	over    bool
}

func (s *server) run(ctx context.Context, items []*item, wait time.Duration) (Verdict, error) {
	statement := &statement{ctx: ctx, items: items, wait: wait, release: make(chan struct{})}
	s.mu.Lock()
	s.sent = append(s.sent, statement)
	s.mu.Unlock()
	select {
	case <-statement.release:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	statement.over = true
	if ctx.Err() != nil {
		return Failed, ctx.Err()
	}
	if s.answer != nil {
		if verdict, err := s.answer(items, wait); err != nil {
			return verdict, err
		}
	}
	for _, i := range items {
		i.applied++
	}
	return Settled, nil
}

// statements are the items of each so far, once all goroutines wait.
func (s *server) statements() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, len(s.sent))
	for i, statement := range s.sent {
		out[i] = names(statement.items)
	}
	return out
}

func names(items []*item) string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = item.name
	}
	return strings.Join(out, " ")
}

// release lets statements have their answers, one after the other.
func (s *server) release(numbers ...int) {
	for _, i := range numbers {
		synctest.Wait()
		s.mu.Lock()
		close(s.sent[i].release)
		s.mu.Unlock()
	}
	synctest.Wait()
}

// releaseOf lets the statement under way of these items have its answer.
func (s *server) releaseOf(list string) {
	for i, of := range s.statements() {
		if of == list && !s.sent[i].over {
			s.release(i)
			return
		}
	}
	s.t.Fatalf("%s is not under way", list)
}

// releaseAll goes on until nothing is left.
func (s *server) releaseAll(from int) {
	for i := from; i < len(s.statements()); i++ {
		if !s.sent[i].over {
			s.release(i)
		}
	}
}

// caller is a Do under way.
type caller struct {
	*item
	err    error
	done   bool
	cancel context.CancelFunc
	// finished is closed when the Do has returned, in tests whose callers never rest.
	finished chan struct{}
}

// inGroup runs a test with a group on a server of its own, in a bubble where a goroutine that nothing can wake fails the test. What the
// config leaves out is large.
func inGroup(t *testing.T, config Config, test func(t *testing.T, g *testGroup, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{t: t}
		g := New(complete(config), s.run)
		test(t, g, s)
		synctest.Wait()
		requireIdle(t, g)
	})
}

func complete(c Config) Config {
	for field, value := range map[*int]int{&c.Max.Count: 1000, &c.Max.Bytes: 1000, &c.InFlight: 1, &c.Blocked: 1, &c.Company: 16} {
		if *field == 0 {
			*field = value
		}
	}
	return c
}

// requireIdle demands that nothing is left of what a group did.
func requireIdle(t *testing.T, g *testGroup) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	require.Empty(t, g.queue)
	require.Empty(t, g.busy)
	require.Zero(t, g.ready)
	require.Zero(t, g.flying)
	require.Equal(t, blocked{tries: g.tries}, g.blocked)
}

// start begins a Do and returns once it waits.
func start(t *testing.T, g *testGroup, name string) *caller {
	t.Helper()
	return startSized(t, g, name, Size{Count: 1, Bytes: 1})
}

func startSized(t *testing.T, g *testGroup, name string, size Size) *caller {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	keys, _, _ := strings.Cut(name, "#")
	c := &caller{item: &item{name: name, keys: strings.Split(keys, "+"), size: size}, cancel: cancel}
	go func() {
		c.err = g.Do(ctx, c.item)
		c.done = true
	}()
	synctest.Wait()
	return c
}

// startAll begins several, in this order.
func startAll(t *testing.T, g *testGroup, list ...string) []*caller {
	t.Helper()
	callers := make([]*caller, len(list))
	for i, name := range list {
		callers[i] = start(t, g, name)
	}
	return callers
}

// leave ends the context of a call, and demands that it leaves at once.
func (c *caller) leave(t *testing.T, sent bool) {
	t.Helper()
	c.cancel()
	synctest.Wait()
	var canceled *CanceledError
	require.True(t, c.done)
	require.ErrorAs(t, c.err, &canceled)
	require.ErrorIs(t, c.err, context.Canceled)
	require.Equal(t, sent, canceled.Sent)
}

func requireApplied(t *testing.T, callers ...*caller) {
	t.Helper()
	synctest.Wait()
	for _, c := range callers {
		require.True(t, c.done, "%s is done", c.name)
		require.NoError(t, c.err, c.name)
		require.Equal(t, 1, c.applied, c.name)
	}
}

// touches says whether one of the items has a key.
func touches(items []*item, keys ...string) bool {
	return slices.ContainsFunc(items, func(i *item) bool {
		return slices.ContainsFunc(i.keys, func(k string) bool { return slices.Contains(keys, k) })
	})
}
