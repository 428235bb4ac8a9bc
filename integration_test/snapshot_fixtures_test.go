package integration_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/snapshot"
)

// tallyKind are the snapshots that most tests keep.
var tallyKind = eventstream.SnapshotKind{Name: "tally", SchemaVersion: 1}

// tally is a state that tells every event from every other: how many there were, and the sum of what they say, each by its version.
type tally struct {
	Events int
	Sum    int
	Notes  map[string]int
}

func newTally() tally { return tally{Notes: map[string]int{}} }

func (s tally) evolve(e eventstream.Event) (tally, error) {
	var said struct{ N int }
	if err := json.Unmarshal(e.Payload, &said); err != nil {
		return s, err
	}
	s.Events++
	s.Sum += said.N * int(e.Version)
	s.Notes[string(e.Type)]++
	return s, nil
}

// tallyOf is what all of these events make.
func tallyOf(t testing.TB, events []eventstream.Event) tally {
	t.Helper()
	state := newTally()
	for i, e := range events {
		e.Version = int64(i + 1)
		var err error
		state, err = state.evolve(e)
		require.NoError(t, err)
	}
	return state
}

// notices collects what a store tells.
type notices struct {
	mu  sync.Mutex
	all []snapshot.Notice
}

func (n *notices) observe(notice snapshot.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, notice)
}

// taken gives what was told since the last time.
func (n *notices) taken() (all []snapshot.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all, n.all = n.all, nil
	return all
}

// kinds is taken, in words.
func (n *notices) kinds() (kinds []string) {
	for _, notice := range n.taken() {
		word := notice.Kind.String()
		if notice.Kind == snapshot.Ignored {
			word += ": " + notice.Status.String()
		}
		kinds = append(kinds, word)
	}
	return kinds
}

func tallyConfig(every int) snapshot.Config[tally] {
	return snapshot.Config[tally]{Name: "tally", Initial: newTally, Evolve: tally.evolve, Policy: snapshot.Policy{Every: every}}
}

// tallies is a store of tallies on a repository, with what it tells.
func tallies(t testing.TB, repo *eventstream.Repository, change func(*snapshot.Config[tally])) (*snapshot.Store[tally], *notices) {
	t.Helper()
	told := &notices{}
	config := tallyConfig(10)
	config.Observer = told.observe
	if change != nil {
		change(&config)
	}
	store, err := snapshot.New(repo, config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return store, told
}

// snapshotAt is a snapshot of the first events of a stream, whose state says so.
func snapshotAt(events []eventstream.Event, id eventstream.StreamID, version int, state string) eventstream.Snapshot {
	return eventstream.Snapshot{
		StreamID: id, Kind: tallyKind, Version: int64(version), EventID: events[version-1].ID, State: []byte(state),
	}
}

func saveSnapshot(t testing.TB, b *bundle, s eventstream.Snapshot) bool {
	t.Helper()
	saved, err := b.repo.SaveSnapshot(b.ctx, s)
	require.NoError(t, err)
	return saved
}

// requireOnSnapshot demands that a stream is loaded on the snapshot at this version, or on none if that is 0, and that it is the same as ever.
func requireOnSnapshot(t testing.TB, b *bundle, id eventstream.StreamID, version int64, status eventstream.SnapshotStatus) eventstream.FoundSnapshot {
	t.Helper()
	whole, err := b.repo.Load(b.ctx, id)
	require.NoError(t, err)
	stream, found, err := b.repo.LoadOnSnapshot(b.ctx, id, tallyKind)
	require.NoError(t, err)
	require.Equal(t, status, found.Status)
	require.Equal(t, version, stream.BaseVersion())
	require.Equal(t, version, found.Snapshot.Version)
	require.Equal(t, whole.EventsFrom(version+1), append([]eventstream.Event{}, stream.EventsFrom(version+1)...))
	require.Equal(t, []any{whole.StreamID(), whole.PartitionKey(), whole.CurrentVersion(), whole.Watermark(), whole.CreatedAt(), whole.UpdatedAt(), whole.TenantID()},
		[]any{stream.StreamID(), stream.PartitionKey(), stream.CurrentVersion(), stream.Watermark(), stream.CreatedAt(), stream.UpdatedAt(), stream.TenantID()})
	require.True(t, stream.IsGapless())
	return found
}
