package integration_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Retention removes events and renumbers nobody: what is left keeps its numbers, in the whole log and in its partition, and what comes
// later goes on as if nothing had been removed.

// where gives the indexes of the events that a test says so of.
func (n *numbering) where(says func(i int, e numberedEvent) bool) (indexes []int) {
	for i, e := range n.events {
		if !e.removed && says(i, e) {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

func TestSequencesAreKeptWhenEventsAreRemoved(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for name, says := range map[string]func(n *numbering, kept int64) func(i int, e numberedEvent) bool{
		"TheFirst": func(*numbering, int64) func(int, numberedEvent) bool {
			return func(i int, _ numberedEvent) bool { return i == 0 }
		},
		"TheLastOfTheLog": func(n *numbering, _ int64) func(int, numberedEvent) bool {
			return func(i int, _ numberedEvent) bool { return i == len(n.events)-1 }
		},
		"FirstAndLastOfEachPartition": func(n *numbering, _ int64) func(int, numberedEvent) bool {
			last := map[int32]int64{}
			for _, e := range n.events {
				last[e.Partition] = e.PartitionSequence
			}
			return func(_ int, e numberedEvent) bool {
				return e.PartitionSequence == 1 || e.PartitionSequence == last[e.Partition]
			}
		},
		"ThoseWithMarks": func(*numbering, int64) func(int, numberedEvent) bool {
			return func(_ int, e numberedEvent) bool { return e.PartitionSequence%128 == 0 || e.Sequence%1024 == 0 }
		},
		"ThoseBesideMarks": func(*numbering, int64) func(int, numberedEvent) bool {
			return func(_ int, e numberedEvent) bool {
				return e.PartitionSequence%128 == 1 || e.PartitionSequence%128 == 127
			}
		},
		"ThoseWithoutMarks": func(_ *numbering, marked int64) func(int, numberedEvent) bool {
			return func(_ int, e numberedEvent) bool { return e.Position > marked }
		},
		"ALongPrefix": func(n *numbering, _ int64) func(int, numberedEvent) bool {
			return func(i int, _ numberedEvent) bool { return i < len(n.events)-100 }
		},
		"AllOfAPartition": func(*numbering, int64) func(int, numberedEvent) bool {
			return func(_ int, e numberedEvent) bool { return e.Partition == 1 }
		},
		"EverySecond": func(*numbering, int64) func(int, numberedEvent) bool {
			return func(i int, _ numberedEvent) bool { return i%2 == 0 }
		},
		"AllOfThem": func(*numbering, int64) func(int, numberedEvent) bool {
			return func(int, numberedEvent) bool { return true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			random := rand.New(rand.NewPCG(7, 7))
			n := &numbering{}
			n.append(t, b, random, 1500, 4)
			execSQL(t, b.ctx, b.pool, advance)
			// Some more that are kept, and not enough for marks in their partitions.
			n.append(t, b, random, 200, 4)
			execSQL(t, b.ctx, b.pool, advance)
			marked := number(t, b.ctx, b.pool, `SELECT marked_position FROM eventstream.log_state`)
			require.Less(t, marked, number(t, b.ctx, b.pool, keptPlace))

			n.remove(t, b, n.where(says(n, marked))...)
			n.require(t, b)
			n.append(t, b, random, 300, 4)
			n.require(t, b)
			execSQL(t, b.ctx, b.pool, advance)
			n.require(t, b)
			n.append(t, b, random, 800, 4)
			execSQL(t, b.ctx, b.pool, advance)
			require.Less(t, marked, number(t, b.ctx, b.pool, `SELECT marked_position FROM eventstream.log_state`), "marks went on")
			n.require(t, b)
		})
	}
}

// Events come and go at random, positions become stable and marked at random: the numbers stay.
func TestSequencesAreKeptWhateverIsRemoved(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			random := rand.New(rand.NewPCG(seed, 3))
			n := &numbering{}
			for range 12 {
				n.append(t, b, random, 1+random.IntN(700), 3)
				if random.IntN(4) == 0 {
					continue
				}
				execSQL(t, b.ctx, b.pool, advance)
				share, from := 1+random.IntN(8), random.IntN(len(n.events))
				n.remove(t, b, n.where(func(i int, _ numberedEvent) bool { return i >= from && i < from+300 && random.IntN(share) == 0 })...)
				n.require(t, b)
			}
			n.require(t, b)
		})
	}
}

// keep_sequences refuses what has no number yet, says how many it kept, may be called twice, and is for the owner.
func TestSequencesOfWhatIsNotStableCannotBeKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 3)
	const keep = `SELECT eventstream.keep_sequences($1)`
	_, err := b.pool.Exec(b.ctx, keep, []int64{1, 2})
	requireSQLState(t, err, "ES013")
	execSQL(t, b.ctx, b.pool, advance)
	for _, positions := range [][]any{{int64(1), int64(4)}, {int64(1), nil}} {
		_, err = b.pool.Exec(b.ctx, keep, positions)
		requireSQLState(t, err, "ES013")
	}
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.partition_marks`))
	require.EqualValues(t, 2, number(t, b.ctx, b.pool, keep, []int64{1, 2, 0}))
	require.EqualValues(t, 2, number(t, b.ctx, b.pool, keep, []int64{1, 2}))
	require.Zero(t, number(t, b.ctx, b.pool, keep, []int64{}))

	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role)
	_, err = connect(t, b.dsn, role).Exec(b.ctx, keep, []int64{1})
	requireSQLState(t, err, "42501")
}

// While marks are being written, whoever removes events waits; while events are being removed, nobody waits to keep the position.
func TestSequencesRemovalAndMarksDoNotCross(t *testing.T) {
	t.Parallel()
	b := setup(t)
	n := &numbering{}
	random := rand.New(rand.NewPCG(1, 1))
	n.append(t, b, random, 1000, 2)
	execSQL(t, b.ctx, b.pool, advance)
	n.append(t, b, random, 200, 2)
	first, second := newActor(t, b), newActor(t, b)
	execSQL(t, b.ctx, first.tx, advance) // writes the first marks of partitions
	indexes := n.where(func(i int, _ numberedEvent) bool { return i > 10 && i < 900 && i%3 > 0 })
	remover := session(t, b)
	removed := start(func() (any, error) { n.removeOn(t, b, remover, indexes...); return nil, nil })
	waitBlocked(t, b, remover.PgConn().PID(), first.pid())
	first.end(t, b, true)
	require.NoError(t, (<-removed).err)
	require.EqualValues(t, 1200, number(t, b.ctx, b.pool, `SELECT last_sequence FROM eventstream.log_state WHERE marked_sequence > 0`))
	n.require(t, b)

	execSQL(t, b.ctx, second.tx, `SELECT eventstream.keep_sequences($1)`, []int64{n.events[3].Position})
	n.append(t, b, random, 100, 2)
	require.Equal(t, drawn(t, b), number(t, b.ctx, b.pool, advance), "returns at once")
	second.end(t, b, false)
	n.require(t, b)
}

// A reader between whose pages, and within one of them, events are removed gets the numbers that they always had.
func TestSequencesWhileAReaderIsUnderWay(t *testing.T) {
	t.Parallel()
	for _, backwards := range []bool{false, true} {
		for _, filter := range []eventstream.LogFilter{{}, {Partitions: []int{0, 2}}, {Types: []eventstream.EventType{"t"}}} {
			t.Run(fmt.Sprintf("%t %v", backwards, filter), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				n := &numbering{}
				random := rand.New(rand.NewPCG(5, 5))
				n.append(t, b, random, 1100, 3)
				execSQL(t, b.ctx, b.pool, advance)
				// The rest gets its marks while the reader is among it.
				n.append(t, b, random, 400, 3)
				numbers := map[int64]numberedEvent{}
				for _, e := range n.events {
					numbers[e.Position] = e
				}
				seen := 0
				repo := sizedRepo(t, session(t, b), 20)
				for e, err := range repo.ReadLog(b.ctx, eventstream.LogOptions{Backwards: backwards, Filter: filter}) {
					require.NoError(t, err)
					want := numbers[e.Position]
					require.Equal(t, []int64{want.Sequence, want.PartitionSequence}, []int64{e.Sequence, e.PartitionSequence})
					if seen++; seen%100 == 0 && random.IntN(3) == 0 {
						execSQL(t, b.ctx, b.pool, advance)
					}
					if seen%15 == 0 {
						kept := number(t, b.ctx, b.pool, keptPlace)
						from := int(want.Sequence) - 1 + random.IntN(80) - 40
						n.remove(t, b, n.where(func(i int, e numberedEvent) bool { return i >= from && i < from+8 && e.Position <= kept })...)
					}
				}
				require.Greater(t, seen, 400)
				n.require(t, b)
			})
		}
	}
}
