package integration_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
)

// ReadLog against a model that holds all events in memory: every filter, every start, both directions, all sizes of pages.

// logModel is all events of a store, numbered by counting.
type logModel struct {
	events []eventstream.LogEvent
	stable int64
	kept   int64
}

var (
	modelCategories = []string{"order", "orders", "cart", "Ärger", ""}
	modelTypes      = []eventstream.EventType{"order.placed", "order.paid", "cart.filled", "rare.one"}
	modelTenants    = []eventstream.TenantID{"acme", "other", "default"}
)

const modelPartitions = 6

// appendRandom appends to random streams of random tenants, in transactions of which some roll back.
func appendRandom(t testing.TB, b *bundle, random *rand.Rand, count int) {
	t.Helper()
	for left := count; left > 0; {
		var requests []eventstream.AppendRequest
		for range 1 + random.IntN(5) {
			n := random.IntN(300)
			kind := modelTypes[random.IntN(3)]
			if random.IntN(60) == 0 {
				kind = "rare.one"
			}
			event, err := eventstream.NewEvent(string(kind), n, eventstream.WithTenant(modelTenants[n%3]))
			require.NoError(t, err)
			requests = append(requests, eventstream.AppendRequest{
				StreamID: eventstream.StreamID(fmt.Sprintf("%s-%d", modelCategories[n%5], n)), Expected: eventstream.Any,
				Events:    []eventstream.Event{event},
				Partition: &eventstream.PartitionKey{ID: n % modelPartitions, Count: 32},
			})
		}
		tx, err := b.pool.Begin(b.ctx)
		require.NoError(t, err)
		defer tx.Rollback(b.ctx)
		_, err = b.repo.WithTx(tx).AppendMany(b.ctx, requests...)
		require.NoError(t, err)
		if random.IntN(4) == 0 {
			require.NoError(t, tx.Rollback(b.ctx))
			continue
		}
		require.NoError(t, tx.Commit(b.ctx))
		left -= len(requests)
	}
}

// modelOf reads all events, each by its id, and counts them.
func modelOf(t testing.TB, b *bundle) *logModel {
	t.Helper()
	m := &logModel{
		stable: number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`),
		kept:   number(t, b.ctx, b.pool, keptPlace),
	}
	partitions := map[int]int64{}
	for i, counted := range counted(t, b).events {
		var id [16]byte
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT event_id FROM eventstream.events WHERE position = $1`, counted.Position).Scan(&id))
		event, err := b.repo.Event(b.ctx, id)
		require.NoError(t, err)
		partitions[event.PartitionID]++
		m.events = append(m.events, eventstream.LogEvent{
			Event: event, Sequence: int64(i + 1), PartitionSequence: partitions[event.PartitionID],
		})
	}
	return m
}

func (m *logModel) last() int64 { return int64(len(m.events)) }

// afterHoles is the events that come after a hole.
func (m *logModel) afterHoles() (events []eventstream.LogEvent) {
	for i, e := range m.events {
		if i > 0 && m.events[i-1].Position < e.Position-1 {
			events = append(events, e)
		}
	}
	return events
}

// modelStart is a start, and which events come from there: at or after it, or, backwards, at or before it.
type modelStart struct {
	name     string
	start    eventstream.Start
	from     func(e eventstream.LogEvent) bool
	downFrom func(e eventstream.LogEvent) bool
}

func drawStart(t *rapid.T, m *logModel) modelStart {
	all := func(eventstream.LogEvent) bool { return true }
	none := func(eventstream.LogEvent) bool { return false }
	kind := rapid.SampledFrom([]string{"nil", "beginning", "latest", "position", "sequence", "time", "partitions"}).Draw(t, "start")
	switch kind {
	case "beginning":
		return modelStart{kind, eventstream.FromBeginning, all, func(e eventstream.LogEvent) bool { return e.Sequence == 1 }}
	case "latest":
		return modelStart{kind, eventstream.FromLatest, none, all}
	case "position":
		n := rapid.OneOf(rapid.Int64Range(1, m.stable+1), rapid.Map(rapid.SampledFrom(m.afterHoles()), func(e eventstream.LogEvent) int64 {
			return e.Position - 1
		})).Draw(t, "position")
		return modelStart{
			kind, eventstream.FromPosition(n),
			func(e eventstream.LogEvent) bool { return e.Position >= n },
			func(e eventstream.LogEvent) bool { return e.Position <= n },
		}
	case "sequence":
		n := rapid.OneOf(rapid.Int64Range(1, m.last()+1), rapid.Map(rapid.SampledFrom(m.afterHoles()), func(e eventstream.LogEvent) int64 {
			return e.Sequence
		})).Draw(t, "sequence")
		return modelStart{
			kind, eventstream.FromSequence(n),
			func(e eventstream.LogEvent) bool { return e.Sequence >= n },
			func(e eventstream.LogEvent) bool { return e.Sequence <= n },
		}
	case "time":
		at := rapid.SampledFrom(m.events).Draw(t, "time").RecordedAt.Add(rapid.SampledFrom([]time.Duration{0, time.Microsecond, -time.Hour}).Draw(t, "delta"))
		first := slices.IndexFunc(m.events, func(e eventstream.LogEvent) bool { return !e.RecordedAt.Before(at) })
		if first < 0 {
			return modelStart{kind, eventstream.FromTime(at), none, all}
		}
		n := m.events[first].Position
		return modelStart{
			kind, eventstream.FromTime(at),
			func(e eventstream.LogEvent) bool { return e.Position >= n },
			func(e eventstream.LogEvent) bool { return e.Position <= n },
		}
	case "partitions":
		return drawPartitionStart(t, m)
	}
	return modelStart{kind, nil, all, all}
}

func drawPartitionStart(t *rapid.T, m *logModel) modelStart {
	last := map[int]int64{}
	for _, e := range m.events {
		last[e.PartitionID] = e.PartitionSequence
	}
	first := map[int]int64{}
	for _, partition := range rapid.SliceOfNDistinct(rapid.IntRange(0, 31), 0, 32, rapid.ID[int]).Draw(t, "partitions") {
		first[partition] = rapid.Int64Range(1, last[partition]+1).Draw(t, "first")
	}
	return modelStart{
		"partitions", eventstream.FromPartitionSequences(first),
		func(e eventstream.LogEvent) bool { return e.PartitionSequence >= first[e.PartitionID] }, nil,
	}
}

func drawFilter(t *rapid.T) eventstream.LogFilter {
	var f eventstream.LogFilter
	if rapid.IntRange(0, 3).Draw(t, "everything") == 0 {
		return f
	}
	if rapid.Bool().Draw(t, "by partition") {
		f.Partitions = rapid.SliceOfN(rapid.IntRange(0, modelPartitions), 1, 4).Draw(t, "partitions")
	}
	if rapid.IntRange(0, 2).Draw(t, "by category") == 0 {
		f.Category = rapid.SampledFrom([]string{"order", "orders", "cart", "Ärger", "ord", "nobody"}).Draw(t, "category")
	}
	if rapid.IntRange(0, 2).Draw(t, "by type") == 0 {
		f.Types = rapid.SliceOfN(rapid.SampledFrom(append(modelTypes, "nothing")), 1, 3).Draw(t, "types")
	}
	if rapid.IntRange(0, 2).Draw(t, "by tenant") == 0 {
		f.Tenant = rapid.SampledFrom(append(modelTenants, "nobody")).Draw(t, "tenant")
	}
	return f
}

func selects(f eventstream.LogFilter, e eventstream.LogEvent) bool {
	category, _, _ := strings.Cut(string(e.StreamID), "-")
	return (f.Partitions == nil || slices.Contains(f.Partitions, e.PartitionID)) &&
		(f.Category == "" || f.Category == category) &&
		(f.Types == nil || slices.Contains(f.Types, e.Type)) &&
		(f.Tenant == "" || f.Tenant == e.TenantID)
}

// wants is what the model gives for a read.
func (m *logModel) wants(start modelStart, o eventstream.LogOptions) []eventstream.LogEvent {
	from := start.from
	if o.Backwards {
		from = start.downFrom
	}
	var want []eventstream.LogEvent
	for _, e := range m.events {
		if from(e) && selects(o.Filter, e) {
			want = append(want, e)
		}
	}
	if o.Backwards {
		slices.Reverse(want)
	}
	if o.Limit > 0 && len(want) > o.Limit {
		want = want[:o.Limit]
	}
	return want
}

// check compares a few reads.
func (m *logModel) check(t *rapid.T, b *bundle, repos []*eventstream.Repository) {
	for range 4 {
		m.checkOne(t, b, repos)
	}
}

func (m *logModel) checkOne(t *rapid.T, b *bundle, repos []*eventstream.Repository) {
	start := drawStart(t, m)
	options := eventstream.LogOptions{
		From: start.start, Filter: drawFilter(t), Backwards: start.downFrom != nil && rapid.Bool().Draw(t, "backwards"),
	}
	if rapid.Bool().Draw(t, "limited") {
		options.Limit = rapid.IntRange(1, 100).Draw(t, "limit")
	}
	repo := rapid.SampledFrom(repos).Draw(t, "repo")
	want, got := m.wants(start, options), readAll(t, repo.ReadLog(b.ctx, options))
	require.Equal(t, len(want), len(got))
	for i := range got {
		require.Equal(t, want[i], got[i])
	}
}

// All reads of a store whose log is not marked, marked, and marked up to a point.
func TestLogReadsLikeItsModel(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			random := rand.New(rand.NewPCG(seed, 9))
			// On a connection nothing is kept, on a pool it is.
			conn := session(t, b)
			unkept := []*eventstream.Repository{sizedRepo(t, conn, 1), sizedRepo(t, conn, 13), sizedRepo(t, conn, 500)}
			appendRandom(t, b, random, 400)
			m := modelOf(t, b)
			require.Zero(t, m.kept)
			rapid.Check(t, func(t *rapid.T) { m.check(t, b, unkept) })

			execSQL(t, b.ctx, b.pool, advance)
			rapid.Check(t, func(t *rapid.T) { m.check(t, b, unkept) })
			appendRandom(t, b, random, 200)
			m = modelOf(t, b)
			require.Less(t, m.kept, m.stable)
			rapid.Check(t, func(t *rapid.T) { m.check(t, b, unkept) })
			pooled := []*eventstream.Repository{b.repo, sizedRepo(t, b.pool, 7)}
			rapid.Check(t, func(t *rapid.T) { m.check(t, b, pooled) })
			require.Equal(t, m.stable, number(t, b.ctx, b.pool, keptPlace), "a reader on a pool keeps the position")
		})
	}
}
