package integration_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

var errNotEnough = errors.New("not enough in stock")

// inventory is how much of a thing there is: a command adds to it, or takes, and nothing is taken that is not there.
func inventory() decider.Decider[int, int] {
	type changed struct {
		By int `json:"by"`
	}
	return decider.Typed[int, int, changed]{
		Decide: func(by, have int) ([]changed, error) {
			if have+by < 0 {
				return nil, errNotEnough
			}
			return []changed{{by}}, nil
		},
		Evolve: func(have int, c changed) int { return have + c.By },
		Encode: func(c changed) (eventstream.Event, error) { return eventstream.NewEvent("stock.changed", c) },
		Decode: eventstream.DecodePayload[changed],
	}.Decider()
}

// moveInventory takes from one and adds to the other.
func moveInventory(from, to eventstream.StreamID) decider.Decider[int, decider.Streams[int]] {
	return decider.Together(inventory(), func(n int, s decider.Streams[int]) ([]eventstream.Event, error) {
		taken, err := inventory().Decide(-n, s.Of(from))
		if err != nil {
			return nil, err
		}
		added, err := inventory().Decide(n, s.Of(to))
		return append(decider.On(from, taken...), decider.On(to, added...)...), err
	})
}

// intruder is a pgx tracer that counts statements, and lets another writer in before those that append.
type intruder struct {
	statements []string
	intrude    func()
	busy       bool
}

func (i *intruder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	i.statements = append(i.statements, data.SQL)
	if appends := len(data.SQL) > 14 && data.SQL[:14] == "-- name: Appen"; appends && i.intrude != nil && !i.busy {
		i.busy = true
		i.intrude()
		i.busy = false
	}
	return ctx
}

func (*intruder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// watched is a repository whose round trips and statements are counted.
func watched(t *testing.T, b *bundle) (*eventstream.Repository, *wire, *intruder) {
	t.Helper()
	w, i := &wire{}, &intruder{}
	config := b.pool.Config()
	config.ConnConfig.DialFunc = w.dial
	config.ConnConfig.Tracer = i
	config.MaxConns = 1
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	pool, err := pgxpool.NewWithConfig(b.ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return repoOn(t, pool), w, i
}

// Handle takes no more round trips than Load and Append by hand, whatever the length of the stream: two; one more for each conflict, and none to
// read what the conflict brought; and one for each further stream.
func TestDeciderRoundTrips(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []eventstream.StreamID{"short-1", "short-2", "long-1"} {
		for range map[eventstream.StreamID]int{"short-1": 1, "short-2": 1, "long-1": 3}[id] {
			batch := make([]eventstream.Event, 400)
			for i := range batch {
				events, err := inventory().Decide(1, 0)
				require.NoError(t, err)
				batch[i] = events[0]
			}
			_, err := b.repo.Append(b.ctx, id, eventstream.Any, batch...)
			require.NoError(t, err)
		}
	}
	repo, w, i := watched(t, b)
	other := func(n int) func() {
		return func() {
			if n--; n >= 0 {
				_, err := inventory().Handle(b.ctx, b.repo, "short-1", 1)
				require.NoError(t, err)
			}
		}
	}
	across := []eventstream.StreamID{"short-1", "short-2"}
	byHand := func(id eventstream.StreamID) func() error {
		return func() error {
			stream, err := repo.Load(b.ctx, id)
			require.NoError(t, err)
			_, err = repo.Append(b.ctx, id, eventstream.Exact(stream.CurrentVersion()), anEventOfStock(t))
			return err
		}
	}
	handle := func(id eventstream.StreamID, opts ...decider.Option) func() error {
		return func() error {
			_, err := inventory().Handle(b.ctx, repo, id, 1, opts...)
			return err
		}
	}
	for _, c := range []struct {
		name    string
		intrude int
		trips   int
		call    func() error
	}{
		{"by hand", 0, 2, byHand("short-1")},
		{"Handle", 0, 2, handle("short-1")},
		{"by hand, a long stream", 0, 2, byHand("long-1")},
		{"Handle, a long stream", 0, 2, handle("long-1")},
		{"Handle with an id", 0, 2, func() error { return handle("short-1", decider.WithCommandID(uuid.New()))() }},
		{"Handle, a conflict", 1, 3, handle("short-1")},
		{"Handle, three conflicts", 3, 5, handle("short-1")},
		{"Handle, a new stream", 0, 2, func() error { return handle(eventstream.StreamID("new-" + uuid.NewString()))() }},
		{"HandleAcross", 0, 3, func() error {
			_, err := moveInventory("short-1", "short-2").HandleAcross(b.ctx, repo, across, 1)
			return err
		}},
		{"HandleAcross, a conflict", 1, 4, func() error {
			_, err := moveInventory("short-1", "short-2").HandleAcross(b.ctx, repo, across, 1)
			return err
		}},
	} {
		i.intrude = other(c.intrude)
		require.NoError(t, c.call(), "%s: the first time prepares the statements", c.name)
		trips := w.trips.Load()
		i.intrude, i.statements = other(c.intrude), nil
		require.NoError(t, c.call(), c.name)
		require.Len(t, i.statements, c.trips, "statements of %s: %q", c.name, i.statements)
		require.Equal(t, int64(c.trips), w.trips.Load()-trips, "round trips of %s", c.name)
	}
	requireAuditClean(t, b)
}

func anEventOfStock(t testing.TB) eventstream.Event {
	t.Helper()
	events, err := inventory().Decide(1, 0)
	require.NoError(t, err)
	return events[0]
}

// More came in between than a refusal brings: Handle reads on from there, and decides in the state after all of it.
func TestDeciderReadsOnWhereARefusalHadNoRoom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repo, _, i := watched(t, b)
	once := sync.Once{}
	i.intrude = func() {
		once.Do(func() {
			events := make([]eventstream.Event, 250)
			for n := range events {
				events[n] = anEventOfStock(t)
			}
			_, err := b.repo.Append(b.ctx, "thing-1", eventstream.Any, events...)
			require.NoError(t, err)
		})
	}
	r, err := inventory().Handle(b.ctx, repo, "thing-1", 1)
	require.NoError(t, err)
	require.Equal(t, 251, r.State)
	require.Equal(t, int64(251), r.Events[0].Version)
	require.Len(t, i.statements, 4, "load, append, read on, append")
}

// Who may append and not read cannot decide, and is told so before anything is written.
func TestDeciderNeedsTheRightToRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, "GRANT USAGE ON SCHEMA eventstream TO "+role)
	execSQL(t, b.ctx, b.pool, "GRANT EXECUTE ON FUNCTION eventstream.append_batch, eventstream.append_event TO "+role)
	_, err := inventory().Handle(b.ctx, asRole(t, b, role), "thing-1", 1)
	require.ErrorContains(t, err, "permission denied")
}

// The answer of the append is lost: the same command again, though others have taken all since, is a duplicate with the first result.
func TestDeciderLostAnswerThenTheCommandAgain(t *testing.T) {
	t.Parallel()
	for _, across := range []bool{false, true} {
		t.Run(fmt.Sprint(across), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := &wire{}
			repo := repoOn(t, w.pool(t, b))
			_, err := inventory().Handle(b.ctx, repo, "warm-1", 5) // prepares the statements, whose answers are not to be lost
			require.NoError(t, err)
			_, err = moveInventory("warm-1", "warm-2").HandleAcross(b.ctx, repo, []eventstream.StreamID{"warm-1", "warm-2"}, 1)
			require.NoError(t, err)
			_, err = inventory().Handle(b.ctx, b.repo, "thing-1", 5)
			require.NoError(t, err)
			id := decider.WithCommandID(uuid.New())
			command := func(repo decider.Store, opts ...decider.Option) (events []eventstream.Event, position int64, duplicate bool, err error) {
				if across {
					r, err := moveInventory("thing-1", "thing-2").HandleAcross(b.ctx, repo, []eventstream.StreamID{"thing-1", "thing-2"}, 4, opts...)
					return r.Events, r.Position, r.Duplicate, err
				}
				r, err := inventory().Handle(b.ctx, repo, "thing-1", -4, opts...)
				return r.Events, r.Position, r.Duplicate, err
			}
			_, _, _, err = command(losing{repo, w}, id)
			require.True(t, eventstream.SafeToRetry(err), "%v", err)
			require.Equal(t, int64(1), w.lost.Load())
			_, err = inventory().Handle(b.ctx, b.repo, "thing-1", -1)
			require.NoError(t, err)
			_, _, _, err = command(b.repo)
			require.ErrorIs(t, err, errNotEnough, "another such command")

			verify := untouched(t, b)
			events, position, duplicate, err := command(repo, id)
			require.NoError(t, err)
			require.True(t, duplicate)
			require.Equal(t, int64(2), events[0].Version)
			require.Equal(t, position, events[len(events)-1].Position)
			require.Len(t, events, map[bool]int{false: 1, true: 2}[across])
			verify()
			requireAuditClean(t, b)
		})
	}
}

// losing loses the answer of each append.
type losing struct {
	*eventstream.Repository
	wire *wire
}

func (l losing) AppendMany(ctx context.Context, requests ...eventstream.AppendRequest) ([]eventstream.AppendResult, error) {
	l.wire.lose.Store(true)
	return l.Repository.AppendMany(ctx, requests...)
}

// Sixteen handle the same sixty commands, in different orders: each counts once, and all are told the same version.
func TestHammerDeciderCommandsCountOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	commands := make([]uuid.UUID, 60)
	for i := range commands {
		commands[i] = uuid.New()
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	first := map[uuid.UUID]int64{}
	duplicates := 0
	for worker := range 16 {
		wait.Go(func() {
			for i := range commands {
				id := commands[(i*7+worker%4)%len(commands)]
				r, err := inventory().Handle(b.ctx, b.repo, "thing-1", 1, decider.WithCommandID(id), decider.WithTries(1000))
				if err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
				mu.Lock()
				if r.Duplicate {
					duplicates++
				}
				if version := r.Events[0].Version; first[id] == 0 {
					first[id] = version
				} else if first[id] != version {
					t.Errorf("command %s is version %d and version %d", id, first[id], version)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	require.Equal(t, 15*len(commands), duplicates)
	stream, err := b.repo.Load(b.ctx, "thing-1")
	require.NoError(t, err)
	require.Equal(t, int64(len(commands)), stream.CurrentVersion())
	requireAuditClean(t, b)
}

// Whatever the default isolation, concurrent commands are decided one after the other.
func TestDeciderUnderEachIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			process := func() *eventstream.Repository { // of its own, so that no other shares its statements
				return repoOn(t, newPool(t, b.dsn, withMaxConns(2), func(c *pgxpool.Config) {
					c.ConnConfig.RuntimeParams["default_transaction_isolation"] = level
				}))
			}
			_, err := inventory().Handle(b.ctx, process(), "thing-1", 20)
			require.NoError(t, err)
			var wait sync.WaitGroup
			var mu sync.Mutex
			refused := 0
			for range 6 {
				repo := process()
				wait.Go(func() {
					for range 5 {
						_, err := inventory().Handle(b.ctx, repo, "thing-1", -1, decider.WithTries(1000))
						mu.Lock()
						if errors.Is(err, errNotEnough) {
							refused++
						} else if err != nil {
							t.Error(err)
						}
						mu.Unlock()
					}
				})
			}
			wait.Wait()
			require.Equal(t, 10, refused)
			requireAuditClean(t, b)
		})
	}
}

// In a transaction of the caller, what Handle appends is part of that; a conflict is settled there.
func TestDeciderInATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inTx(t, b, func(tx pgx.Tx) {
		repo := b.repo.WithTx(tx)
		_, err := inventory().Handle(b.ctx, repo, "thing-1", 5)
		require.NoError(t, err)
		r, err := inventory().Handle(b.ctx, repo, "thing-1", -3)
		require.NoError(t, err)
		require.Equal(t, 2, r.State)
		_, err = inventory().Handle(b.ctx, repo, "thing-1", -3)
		require.ErrorIs(t, err, errNotEnough)
		_, err = b.repo.Load(b.ctx, "thing-1")
		require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
	})
	r, err := inventory().Handle(b.ctx, b.repo, "thing-1", 1)
	require.NoError(t, err)
	require.Equal(t, 3, r.State)
}

// A stream is folded while it comes: memory does not grow with it.
func TestDeciderHoldsNoStreamInMemory(t *testing.T) {
	b := setup(t)
	const events, size = 400, 200 << 10
	for range events / 20 {
		batch := make([]eventstream.Event, 20)
		for i := range batch {
			e, err := eventstream.NewEvent("stock.changed", map[string]int{"by": 1}, eventstream.WithData(make([]byte, size)))
			require.NoError(t, err)
			batch[i] = e
		}
		_, err := b.repo.Append(b.ctx, "thing-1", eventstream.Any, batch...)
		require.NoError(t, err)
	}
	d, seen, most := inventory(), 0, uint64(0)
	evolve := d.Evolve
	d.Evolve = func(have int, e eventstream.Event) (int, error) {
		if seen++; seen%50 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		return evolve(have, e)
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, err := d.Handle(b.ctx, b.repo, "thing-1", 1)
	require.NoError(t, err)
	require.Equal(t, events+1, r.State)
	require.Less(t, int64(most)-int64(before.HeapAlloc), int64(8<<20), "of %d MiB", events*size>>20)
}
