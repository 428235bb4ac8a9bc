package integration_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
	"github.com/gaplesspg/gapless/eventstream/snapshot"
)

// stockSnapshots are snapshots of inventories, which count the events that they were given to fold.
func stockSnapshots(t testing.TB, repo *eventstream.Repository, schema int, policy snapshot.Policy) (*snapshot.Store[int], *int) {
	t.Helper()
	folded, mu := 0, sync.Mutex{}
	store, err := snapshot.New(repo, snapshot.Config[int]{
		Name: "stock", SchemaVersion: schema, Policy: policy, Observer: func(snapshot.Notice) {},
		Evolve: func(have int, e eventstream.Event) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			folded++
			if e.Erased {
				return have, nil
			}
			return inventory().Evolve(have, e)
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(t.Context())) })
	return store, &folded
}

// importStock brings a long stream, each of whose events adds 1.
func importStock(t testing.TB, b *bundle, id eventstream.StreamID, count int) {
	t.Helper()
	_, err := b.repo.Import(b.ctx, func(yield func(eventstream.Event, error) bool) {
		for range count {
			e := anEventOfStock(t)
			e.StreamID = id
			if !yield(e, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
}

// A command about a stream of 100,000 events takes the round trips that it takes about any other, and folds what came after the snapshot. One
// of another schema version is ignored, in no more round trips.
func TestDeciderOnASnapshotOfALongStream(t *testing.T) {
	t.Parallel()
	const long = 100_000
	b := setup(t)
	importStock(t, b, "long-1", long)
	never := snapshot.Policy{When: snapshot.Never}
	makes, _ := stockSnapshots(t, b.repo, 1, never)
	saved, err := makes.Rebuild(b.ctx, "long-1")
	require.NoError(t, err)
	require.True(t, saved)

	repo, w, i := watched(t, b)
	current, folded := stockSnapshots(t, repo, 1, never)
	other, foldedOther := stockSnapshots(t, repo, 2, never)
	version := int64(long)
	intrude := func(n int) func() {
		return func() {
			if n--; n >= 0 {
				_, err := b.repo.Append(b.ctx, "long-1", eventstream.Exact(version), anEventOfStock(t))
				require.NoError(t, err)
				version++
			}
		}
	}
	for _, c := range []struct {
		name    string
		store   *snapshot.Store[int]
		intrude int
		trips   int
		folded  *int
		most    int
		options []decider.Option
	}{
		{"the first one prepares the statements", current, 1, 3, folded, 0, nil},
		{"Handle", current, 0, 2, folded, 10, nil},
		{"Handle with an id", current, 0, 2, folded, 10, []decider.Option{decider.WithCommandID(uuid.New())}},
		{"Handle, a conflict", current, 1, 3, folded, 10, nil},
		{"Handle, three conflicts", current, 3, 5, folded, 10, nil},
		{"another schema version", other, 0, 2, foldedOther, long + 20, nil},
	} {
		before, trips := *c.folded, w.trips.Load()
		i.statements, i.intrude = nil, intrude(c.intrude)
		r, err := inventory().Handle(b.ctx, repo, "long-1", 1, append(c.options, decider.WithSnapshots(c.store))...)
		require.NoError(t, err, c.name)
		version++
		require.EqualValues(t, version, r.State, c.name)
		require.Equal(t, version, r.Events[0].Version, c.name)
		require.Len(t, i.statements, c.trips, "%s: %q", c.name, i.statements)
		if c.name == "the first one prepares the statements" {
			continue
		}
		require.Equal(t, int64(c.trips), w.trips.Load()-trips, "round trips of %s", c.name)
		require.LessOrEqual(t, *c.folded-before, c.most, c.name)
	}
	require.GreaterOrEqual(t, *foldedOther, long)
	requireAuditClean(t, b)
}

// A command counts once, whether its events are before the snapshot, behind it or in a conflict; Decide is not asked again, which would refuse it.
func TestDeciderOnASnapshotFindsACommandAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	store, folded := stockSnapshots(t, b.repo, 1, snapshot.Policy{When: snapshot.Never})
	on := decider.WithSnapshots(store)
	before, behind := decider.WithCommandID(uuid.New()), decider.WithCommandID(uuid.New())
	_, err := inventory().Handle(b.ctx, b.repo, "thing-1", 5, on)
	require.NoError(t, err)
	first, err := inventory().Handle(b.ctx, b.repo, "thing-1", -4, on, before)
	require.NoError(t, err)
	for range 20 {
		_, err = inventory().Handle(b.ctx, b.repo, "thing-1", 1, on)
		require.NoError(t, err)
	}
	saved, err := store.Rebuild(b.ctx, "thing-1")
	require.NoError(t, err)
	require.True(t, saved)
	second, err := inventory().Handle(b.ctx, b.repo, "thing-1", -20, on, behind)
	require.NoError(t, err)
	require.Equal(t, 1, second.State)

	for name, c := range map[string]struct {
		id   decider.Option
		want decider.Result[int]
		by   int
	}{"before": {before, first, -4}, "behind": {behind, second, -20}} {
		verify, seen := untouched(t, b), *folded
		again, err := inventory().Handle(b.ctx, b.repo, "thing-1", c.by, on, c.id)
		require.NoError(t, err, name)
		require.True(t, again.Duplicate, name)
		require.Zero(t, again.Tries, name)
		require.Equal(t, 1, again.State, name)
		require.Len(t, again.Events, 1, name)
		require.Equal(t, []any{c.want.Events[0].ID, c.want.Events[0].Version, c.want.Position},
			[]any{again.Events[0].ID, again.Events[0].Version, again.Position}, name)
		require.Equal(t, name == "before", *folded-seen > 20, "%s: read whole", name)
		verify()
	}
	_, err = inventory().Handle(b.ctx, b.repo, "thing-1", -4, on, decider.WithCommandID(uuid.New()))
	require.ErrorIs(t, err, errNotEnough)
	// An id of another stream's event is none of this one.
	_, found, err := b.repo.LoadOnSnapshotBefore(b.ctx, "thing-1", eventstream.SnapshotKind{Name: "stock", SchemaVersion: 1},
		given(t, b, "thing-2", 1)[0].ID)
	require.NoError(t, err)
	require.Equal(t, eventstream.SnapshotUsed, found.Status)
	requireAuditClean(t, b)
}

// What was erased is in no snapshot any more: the state is made of what is left.
func TestDeciderOnASnapshotOfAnErasedStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	store, _ := stockSnapshots(t, b.repo, 1, snapshot.Policy{When: snapshot.Never})
	importStock(t, b, "thing-1", 20)
	_, err := store.Rebuild(b.ctx, "thing-1")
	require.NoError(t, err)
	_, err = b.repo.Erase(b.ctx, eventstream.Erasure{StreamID: "thing-1", From: 1, To: 5, Reason: "request 17"})
	require.NoError(t, err)
	r, err := inventory().Handle(b.ctx, b.repo, "thing-1", 1, decider.WithSnapshots(store))
	require.NoError(t, err)
	require.Equal(t, 16, r.State)
	require.Equal(t, int64(21), r.Events[0].Version)
}

// In a transaction the state is that of the transaction; a stream that is not there begins as without snapshots.
func TestDeciderOnASnapshotInATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	store, _ := stockSnapshots(t, b.repo, 1, snapshot.Policy{When: snapshot.Never})
	inTx(t, b, func(tx pgx.Tx) {
		for n := range 5 {
			r, err := inventory().Handle(b.ctx, b.repo.WithTx(tx), "thing-1", 1, decider.WithSnapshots(store.WithTx(tx)))
			require.NoError(t, err)
			require.Equal(t, n+1, r.State)
		}
	})
	saved, err := store.Rebuild(b.ctx, "thing-1")
	require.NoError(t, err)
	require.True(t, saved)
	inTx(t, b, func(tx pgx.Tx) {
		for n := range 2 {
			r, err := inventory().Handle(b.ctx, b.repo.WithTx(tx), "thing-1", 1, decider.WithSnapshots(store.WithTx(tx)))
			require.NoError(t, err)
			require.Equal(t, 6+n, r.State, "on a snapshot")
		}
	})
}

// The policy holds for commands: whichever call it names, a snapshot is made every so many events.
func TestDeciderHasSnapshotsMade(t *testing.T) {
	t.Parallel()
	for when, versions := range map[snapshot.When][]int64{
		snapshot.OnReadAndWrite: {10, 20, 30}, snapshot.OnRead: {10, 20}, snapshot.OnWrite: {10, 20, 30}, snapshot.Never: nil,
	} {
		t.Run(fmt.Sprint(int(when)), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			store, _ := stockSnapshots(t, b.repo, 1, snapshot.Policy{Every: 10, When: when})
			var made []int64
			for range 30 {
				_, err := inventory().Handle(b.ctx, b.repo, "thing-1", 1, decider.WithSnapshots(store))
				require.NoError(t, err)
				require.NoError(t, store.Flush(b.ctx))
				at := number(t, b.ctx, b.pool, `SELECT coalesce(max(version), 0) FROM eventstream.snapshots`)
				if at > 0 && (len(made) == 0 || made[len(made)-1] != at) {
					made = append(made, at)
				}
			}
			require.Len(t, made, len(versions))
			for i := range versions {
				require.InDelta(t, versions[i], made[i], 2, "one that is made while a command is handled may have its event")
			}
		})
	}
}

// Eight at a time handle commands about one stream on snapshots that are made all the while, each twice: each counts once, in the state before it.
func TestHammerDeciderOnSnapshots(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(10))
	store, _ := stockSnapshots(t, b.repo, 1, snapshot.Policy{Every: 5})
	const workers, each = 8, 25
	commands := make([]uuid.UUID, workers*each/2)
	for i := range commands {
		commands[i] = uuid.New()
	}
	states := map[uuid.UUID]int64{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for worker := range workers {
		random := rand.New(rand.NewPCG(uint64(worker), 1))
		wait.Go(func() {
			mine := commands[worker/2*each : (worker/2+1)*each]
			for _, n := range random.Perm(each) {
				r, err := inventory().Handle(b.ctx, b.repo, "thing-1", 1, decider.WithSnapshots(store), decider.WithCommandID(mine[n]), decider.WithTries(1000))
				if err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
				mu.Lock()
				if version := r.Events[0].Version; states[mine[n]] == 0 {
					states[mine[n]] = version
				} else if states[mine[n]] != version {
					t.Errorf("command %s is version %d and version %d", mine[n], states[mine[n]], version)
				}
				if !r.Duplicate && int64(r.State) != r.Events[0].Version {
					t.Errorf("decided at %d in a state of %d", r.Events[0].Version, r.State)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	require.NoError(t, store.Flush(b.ctx))
	require.Len(t, states, len(commands))
	require.EqualValues(t, len(commands), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	require.Positive(t, number(t, b.ctx, b.pool, `SELECT max(version) FROM eventstream.snapshots`))
	requireAuditClean(t, b)
}

// Snapshots are those of the repository that decides: a state of one tenant must not be decided on for another.
func TestDeciderRefusesSnapshotsOfAnotherTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme, rivals := b.repo.ForTenant("acme"), b.repo.ForTenant("rival")
	_, err := inventory().Handle(b.ctx, acme, "thing-acme", 1)
	require.NoError(t, err)
	for name, repos := range map[string][2]*eventstream.Repository{"all, for a tenant": {b.repo, rivals}, "a tenant, for another": {acme, rivals}} {
		store, _ := stockSnapshots(t, repos[0], 1, snapshot.Policy{When: snapshot.Never})
		_, err := inventory().Handle(b.ctx, repos[1], "thing-acme", 1, decider.WithSnapshots(store))
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		require.ErrorContains(t, err, "another repository", name)
	}
	store, _ := stockSnapshots(t, acme, 1, snapshot.Policy{When: snapshot.Never})
	_, err = inventory().Handle(b.ctx, acme, "thing-acme", 1, decider.WithSnapshots(store))
	require.NoError(t, err)
}
