package integration_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/snapshot"
)

// requireState demands that a store gives the state of these events, on the snapshot at this version.
func requireState(t testing.TB, b *bundle, s *snapshot.Store[tally], id eventstream.StreamID, base int64, events []eventstream.Event) *snapshot.Loaded[tally] {
	t.Helper()
	loaded, err := s.Load(b.ctx, id)
	require.NoError(t, err)
	require.Equal(t, tallyOf(t, events), loaded.State)
	require.Equal(t, base, loaded.Stream.BaseVersion())
	require.EqualValues(t, len(events), loaded.Stream.CurrentVersion())
	require.NoError(t, s.Flush(b.ctx))
	return loaded
}

// saveMore appends count events to what was loaded.
func saveMore(t testing.TB, b *bundle, s *snapshot.Store[tally], loaded *snapshot.Loaded[tally], count int) []eventstream.Event {
	t.Helper()
	events := someEvents(t, count)
	for _, e := range events {
		_, err := loaded.Stream.AppendEvent(e)
		require.NoError(t, err)
	}
	_, err := s.Save(b.ctx, loaded)
	require.NoError(t, err)
	require.NoError(t, s.Flush(b.ctx))
	return events
}

// A snapshot is made every so many events, by the calls that the policy names, and what is loaded is what all events make.
func TestSnapshotPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		when snapshot.When
		// bases are those of loads after 9, 10, 19 and 20 events, each with a Load after it.
		bases []int64
	}{
		{"OnReadAndWrite", snapshot.OnReadAndWrite, []int64{0, 10, 10, 20}},
		{"OnRead", snapshot.OnRead, []int64{0, 0, 10, 10}},
		{"OnWrite", snapshot.OnWrite, []int64{0, 10, 10, 20}},
		{"Never", snapshot.Never, []int64{0, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			s, told := tallies(t, b.repo, func(config *snapshot.Config[tally]) { config.Policy.When = c.when })
			var events []eventstream.Event
			for i, count := range []int{9, 1, 9, 1} {
				loaded, err := s.LoadOrNew(b.ctx, "order-1")
				require.NoError(t, err)
				events = append(events, saveMore(t, b, s, loaded, count)...)
				require.Equal(t, tallyOf(t, events), loaded.State, "Save moves the state")
				requireState(t, b, s, "order-1", c.bases[i], events)
			}
			for _, notice := range told.taken() {
				require.Equal(t, snapshot.Saved, notice.Kind, "%+v", notice)
				require.Equal(t, []any{"tally", eventstream.StreamID("order-1")}, []any{notice.Name, notice.StreamID})
				require.Positive(t, notice.Bytes)
				require.Positive(t, notice.Version)
				require.Positive(t, notice.Took)
			}
			requireAuditClean(t, b)
		})
	}
}

// What is loaded once and saved often asks for a snapshot every so many events, not with each Save.
func TestSnapshotOfOneThatIsLoadedOnceAndSavedOften(t *testing.T) {
	t.Parallel()
	b := setup(t)
	counter := &queryCounter{}
	s, told := tallies(t, repoOn(t, tracedPool(t, b, counter)), nil)
	loaded, err := s.LoadOrNew(b.ctx, "order-1")
	require.NoError(t, err)
	var events []eventstream.Event
	for range 35 {
		events = append(events, saveMore(t, b, s, loaded, 1)...)
	}
	require.Equal(t, []string{"saved", "saved", "saved"}, told.kinds())
	require.LessOrEqual(t, counter.count(), 3+35+3*2, "to find nothing and place it, for each Save, and to load and keep each snapshot")
	requireState(t, b, s, "order-1", 30, events)
}

// A snapshot of another schema version is ignored, and made anew in the background by code of the newer release; that of the older reads all
// events meanwhile, fails at nothing, and does not try again and again.
func TestSnapshotOfAnotherSchemaVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 12)
	old, oldTold := tallies(t, b.repo, func(config *snapshot.Config[tally]) { config.Policy.When = snapshot.OnRead })
	requireState(t, b, old, "order-1", 0, events)
	requireState(t, b, old, "order-1", 12, events)

	next, told := tallies(t, b.repo, func(config *snapshot.Config[tally]) { config.SchemaVersion = 2 })
	require.Equal(t, eventstream.SnapshotOtherSchema, requireState(t, b, next, "order-1", 0, events).Snapshot)
	require.Equal(t, []string{"ignored: other schema version", "ignored: other schema version", "saved"}, told.kinds())
	require.Equal(t, eventstream.SnapshotUsed, requireState(t, b, next, "order-1", 12, events).Snapshot)

	oldTold.taken()
	for range 5 {
		requireState(t, b, old, "order-1", 0, events)
	}
	kinds := oldTold.kinds()
	require.Equal(t, []string{"ignored: other schema version", "ignored: other schema version", "superseded", "failed"}, kinds[:4])
	requireState(t, b, next, "order-1", 12, events)

	loaded, err := old.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.NoError(t, old.Flush(b.ctx)) // the pause after a failure may be over: it may have asked for a snapshot, which would hold the next event
	events = append(events, saveMore(t, b, old, loaded, 1)...)
	again, _ := tallies(t, b.repo, nil)
	requireState(t, b, again, "order-1", 0, events)
	requireState(t, b, again, "order-1", 13, events)
}

// A state that cannot be decoded, that is of another form than it says, or that Evolve fails or panics on, is ignored and replaced: events say
// what is true.
func TestSnapshotThatCannotBeUsedIsReplaced(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]string{
		"not JSON": `}`, "empty": ``, "another type": `[1]`, "a field too many": `{"Events": 1, "Count": 2}`,
		"something after it": `{"Events":1}{}`, "a map that Evolve needs": `{"Events": 8}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			s, told := tallies(t, b.repo, func(config *snapshot.Config[tally]) { config.Policy.Every = 1000 })
			events := given(t, b, "order-1", 10)
			saveSnapshot(t, b, snapshotAt(events, "order-1", 8, state))
			require.Equal(t, eventstream.SnapshotDamaged, requireState(t, b, s, "order-1", 0, events).Snapshot)
			require.Equal(t, []string{"ignored: damaged", "ignored: damaged", "saved"}, told.kinds())
			require.Equal(t, eventstream.SnapshotUsed, requireState(t, b, s, "order-1", 10, events).Snapshot)
		})
	}
}

// Each of the lies that the database can be made to tell changes no state, and is replaced though the policy says that none is due.
func TestSnapshotThatLiesChangesNoState(t *testing.T) {
	t.Parallel()
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			s, _ := tallies(t, b.repo, func(config *snapshot.Config[tally]) { config.Policy.Every = 1000 })
			for _, id := range []eventstream.StreamID{"order-2", "order-1"} {
				given(t, b, id, 10)
				_, err := s.Rebuild(b.ctx, id)
				require.NoError(t, err)
			}
			execSQL(t, b.ctx, b.pool, lie.sql)
			events := readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}))
			require.Equal(t, lie.status, requireState(t, b, s, "order-1", 0, events).Snapshot)
			require.Equal(t, eventstream.SnapshotUsed, requireState(t, b, s, "order-1", int64(lie.watermark), events).Snapshot)
		})
	}
}

// Snapshots are a cache: with none of them, all of it gives the same.
func TestSnapshotsCanBeDeletedAtAnyTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s, told := tallies(t, b.repo, nil)
	random := rand.New(rand.NewPCG(1, 2))
	var events []eventstream.Event
	for n := range 40 {
		switch random.IntN(4) {
		case 0:
			execSQL(t, b.ctx, b.pool, `TRUNCATE eventstream.snapshots`)
		case 1:
			execSQL(t, b.ctx, b.pool, `DELETE FROM eventstream.snapshots`)
		}
		loaded, err := s.LoadOrNew(b.ctx, "order-1")
		require.NoError(t, err)
		require.Equal(t, tallyOf(t, events), loaded.State, "round %d", n)
		events = append(events, saveMore(t, b, s, loaded, random.IntN(8))...)
		require.Equal(t, tallyOf(t, events), loaded.State, "round %d", n)
	}
	require.Contains(t, told.kinds(), "saved")
	requireAuditClean(t, b)
}

// Nothing that goes wrong with the making of a snapshot reaches the call that found it due; it is told.
func TestSnapshotThatCannotBeMadeFailsNoCall(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, b *bundle, config *snapshot.Config[tally]){
		"the database refuses": func(t *testing.T, b *bundle, _ *snapshot.Config[tally]) {
			execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.snapshots ADD CONSTRAINT snapshots_none CHECK (false)`)
		},
		"the codec fails": func(_ *testing.T, _ *bundle, config *snapshot.Config[tally]) { config.Codec = brokenCodec{} },
		"the codec panics": func(_ *testing.T, _ *bundle, config *snapshot.Config[tally]) {
			config.Codec = brokenCodec{panics: true}
		},
		"it takes too long": func(t *testing.T, b *bundle, config *snapshot.Config[tally]) {
			config.Timeout = 20 * time.Millisecond
			// Whoever reads goes on, whoever writes waits as long as the test.
			execSQL(t, b.ctx, session(t, b), `BEGIN; LOCK TABLE eventstream.snapshots IN SHARE MODE`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			events := given(t, b, "order-1", 12)
			s, told := tallies(t, b.repo, func(config *snapshot.Config[tally]) { change(t, b, config) })
			for range 3 {
				requireState(t, b, s, "order-1", 0, events)
			}
			loaded := requireState(t, b, s, "order-1", 0, events)
			saveMore(t, b, s, loaded, 1)
			all := told.taken()
			require.Equal(t, snapshot.Failed, all[0].Kind)
			require.Error(t, all[0].Err)
		})
	}
}

// brokenCodec cannot encode.
type brokenCodec struct{ panics bool }

func (c brokenCodec) Encode(tally) ([]byte, error) {
	if c.panics {
		panic("the codec panics")
	}
	return nil, errors.New("the codec fails")
}

func (brokenCodec) Decode([]byte) (tally, error) { return tally{}, errors.New("the codec fails") }

// An observer that panics hurts nobody.
func TestSnapshotObserverThatPanics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 12)
	s, _ := tallies(t, b.repo, func(config *snapshot.Config[tally]) {
		config.Observer = func(snapshot.Notice) { panic("the observer panics") }
	})
	requireState(t, b, s, "order-1", 0, events)
	requireState(t, b, s, "order-1", 12, events)
}

// In a transaction the state is that of the transaction, and no snapshot is made of what is not committed.
func TestSnapshotStoreInATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s, _ := tallies(t, b.repo, nil)
	events := given(t, b, "order-1", 9)
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	inTx := s.WithTx(tx)
	loaded, err := inTx.Load(b.ctx, "order-1")
	require.NoError(t, err)
	more := saveMore(t, b, inTx, loaded, 5)
	again, err := inTx.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, tallyOf(t, append(events, more...)), again.State)
	require.NoError(t, inTx.Flush(b.ctx))
	require.NoError(t, tx.Rollback(b.ctx))
	requireState(t, b, s, "order-1", 0, events)
	require.Zero(t, number(t, b.ctx, b.pool, seesTally))
}

// On one connection nothing runs beside the caller: snapshots are used, and made by Rebuild.
func TestSnapshotStoreOnAConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 12)
	s, _ := tallies(t, repoOn(t, session(t, b)), nil)
	requireState(t, b, s, "order-1", 0, events)
	requireState(t, b, s, "order-1", 0, events)
	saved, err := s.Rebuild(b.ctx, "order-1")
	require.NoError(t, err)
	require.True(t, saved)
	requireState(t, b, s, "order-1", 12, events)
}

// Rebuild makes a snapshot of the events alone: what was made by a wrong Evolve is replaced.
func TestSnapshotRebuildReplacesWhatWasWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 12)
	wrong := tallyOf(t, events)
	wrong.Sum++
	data, err := snapshot.JSON[tally]().Encode(wrong)
	require.NoError(t, err)
	saveSnapshot(t, b, snapshotAt(events, "order-1", 12, string(data)))
	s, told := tallies(t, b.repo, nil)
	loaded, err := s.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, wrong, loaded.State, "nobody can see that it is wrong")
	saved, err := s.Rebuild(b.ctx, "order-1")
	require.NoError(t, err)
	require.True(t, saved)
	requireState(t, b, s, "order-1", 12, events)
	require.Equal(t, []string{"saved"}, told.kinds())
	_, err = s.Rebuild(b.ctx, "nobody")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
}

// An event that Evolve refuses is the caller's error, from whatever the state is made.
func TestSnapshotEvolveRefusesAnEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 12)
	broken := errors.New("broken")
	var refused int64 = 13
	s, told := tallies(t, b.repo, func(config *snapshot.Config[tally]) {
		config.Evolve = func(state tally, e eventstream.Event) (tally, error) {
			if e.Version == refused {
				return state, broken
			}
			return state.evolve(e)
		}
	})
	_, err := s.Rebuild(b.ctx, "order-1")
	require.NoError(t, err)
	loaded, err := s.Load(b.ctx, "order-1")
	require.NoError(t, err)
	_, err = loaded.Stream.AppendEvent(anEvent(t, 13))
	require.NoError(t, err)
	result, err := s.Save(b.ctx, loaded)
	require.ErrorIs(t, err, broken)
	require.Equal(t, int64(13), result.CurrentVersion, "it is saved all the same")
	_, err = s.Load(b.ctx, "order-1")
	var evolve *snapshot.EvolveError
	require.ErrorAs(t, err, &evolve)
	require.ErrorIs(t, err, broken)
	require.Equal(t, int64(13), evolve.Event.Version)
	_, err = s.Rebuild(b.ctx, "order-1")
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{"saved"}, told.kinds(), "the snapshot is not to blame")
}

// gobCodec keeps a state in a form that is not JSON.
type gobCodec struct{}

func (gobCodec) Encode(state []float64) ([]byte, error) {
	var data bytes.Buffer
	err := gob.NewEncoder(&data).Encode(state)
	return data.Bytes(), err
}

func (gobCodec) Decode(data []byte) (state []float64, err error) {
	return state, gob.NewDecoder(bytes.NewReader(data)).Decode(&state)
}

// A binary state of ten megabytes is kept and used.
func TestSnapshotOfALargeBinaryState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 5)
	random := rand.New(rand.NewPCG(3, 4))
	s, err := snapshot.New(b.repo, snapshot.Config[[]float64]{
		Name: "samples", Codec: gobCodec{}, Policy: snapshot.Policy{Every: 5},
		Evolve: func(state []float64, _ eventstream.Event) ([]float64, error) {
			for range 250_000 {
				state = append(state, random.Float64())
			}
			return state, nil
		},
	})
	require.NoError(t, err)
	_, err = s.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.NoError(t, s.Flush(b.ctx))
	require.Greater(t, number(t, b.ctx, b.pool, `SELECT octet_length(state) FROM eventstream.snapshots`), int64(10_000_000))
	loaded, err := s.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, eventstream.SnapshotUsed, loaded.Snapshot)
	require.Len(t, loaded.State, 1_250_000)
}

// Load and Save of a store take one round trip each.
func TestSnapshotStoreRoundTrips(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 12)
	counter := &queryCounter{}
	s, _ := tallies(t, repoOn(t, tracedPool(t, b, counter)), func(config *snapshot.Config[tally]) { config.Policy.When = snapshot.Never })
	_, err := s.Rebuild(b.ctx, "order-1")
	require.NoError(t, err)
	before := counter.count()
	loaded, err := s.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, 1, counter.count()-before)
	saveMore(t, b, s, loaded, 2)
	require.Equal(t, 2, counter.count()-before)
}

// Many processes decide on states of one stream, with snapshots made all the time: each decision rests on all events before it.
func TestSnapshotStoreHammer(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(20))
	var group errgroup.Group
	for i := range 6 {
		s, _ := tallies(t, repoOn(t, b.pool), func(config *snapshot.Config[tally]) { config.Policy.Every = 3 + i })
		group.Go(func() error {
			for counted := 0; counted < 25; {
				err := countOnce(b.ctx, s, "order-1")
				if errors.Is(err, eventstream.ErrVersionConflict) {
					continue
				}
				if counted++; err == nil && i == 0 && counted%5 == 0 {
					_, err = b.pool.Exec(b.ctx, `DELETE FROM eventstream.snapshots`)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	events := readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}))
	for i, e := range events {
		require.JSONEq(t, fmt.Sprintf(`{"n": %d}`, i), string(e.Payload), "each event says how many its writer had seen")
	}
	require.Len(t, events, 6*25)
	requireAuditClean(t, b)
}

// countOnce appends an event that says how many there were before.
func countOnce(ctx context.Context, s *snapshot.Store[tally], id eventstream.StreamID) error {
	loaded, err := s.LoadOrNew(ctx, id)
	if err != nil {
		return err
	}
	event, err := eventstream.NewEvent("order.placed", map[string]int{"n": loaded.State.Events})
	if err != nil {
		return err
	}
	if _, err := loaded.Stream.AppendEvent(event); err != nil {
		return err
	}
	_, err = s.Save(ctx, loaded)
	return err
}
