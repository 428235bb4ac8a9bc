package integration_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Whatever is ingested and appended in whatever order, a stream is what a simple model says: a map of versions, of which
// readers see the longest run from 1.
func TestIngestAgainstAModel(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	var streams atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		id := eventstream.StreamID(fmt.Sprintf("model-%d", streams.Add(1)))
		m := ingestModel{known: map[int64]uuid.UUID{}}
		source := numbered(t, 9)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
				m.appendOne(t, b, id)
			} else {
				m.ingest(t, b, id, rapid.SliceOfN(rapid.SampledFrom(source), 1, 5).Draw(t, "events"))
			}
			m.check(t, b, id)
		}
	})
	// Holes are left by chance; damage must not be.
	findings, err := b.repo.Audit(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Severity != eventstream.SeverityWarning {
			t.Errorf("%+v", f)
		}
	}
}

// ingestModel is a stream as a map: every version that arrived, and the event that it is.
type ingestModel struct {
	known map[int64]uuid.UUID
}

func (m ingestModel) watermark() (v int64) {
	for m.known[v+1] != uuid.Nil {
		v++
	}
	return v
}

func (m ingestModel) current() (v int64) {
	for version := range m.known {
		v = max(v, version)
	}
	return v
}

func (m ingestModel) ingest(t *rapid.T, b *bundle, id eventstream.StreamID, events []eventstream.Event) {
	got, err := b.repo.Ingest(b.ctx, id, events...)
	for _, e := range events {
		if there := m.known[e.Version]; there != uuid.Nil && there != e.ID {
			// An append took the version first.
			require.ErrorIs(t, err, eventstream.ErrVersionConflict)
			return
		}
	}
	require.NoError(t, err)
	before, arrived := m.watermark(), map[int64]bool{}
	want := eventstream.IngestResult{}
	for _, e := range events {
		if m.known[e.Version] != uuid.Nil {
			want.Duplicates++
		} else {
			arrived[e.Version] = true
		}
		m.known[e.Version] = e.ID
	}
	want.Watermark, want.CurrentVersion = m.watermark(), m.current()
	want.Appended = want.Watermark - before
	for version := range arrived {
		if version > want.Watermark {
			want.Pending++
		}
	}
	require.Equal(t, want, got)
}

func (m ingestModel) appendOne(t *rapid.T, b *bundle, id eventstream.StreamID) {
	e := anEvent(t, 0)
	result, err := b.repo.Append(b.ctx, id, eventstream.Any, e)
	if m.current() > m.watermark() {
		require.ErrorIs(t, err, eventstream.ErrGap)
		return
	}
	require.NoError(t, err)
	require.Equal(t, m.current()+1, result.FirstVersion)
	m.known[result.FirstVersion] = e.ID
}

// check demands that readers, the head and the audit see what the model says.
func (m ingestModel) check(t *rapid.T, b *bundle, id eventstream.StreamID) {
	if len(m.known) == 0 {
		return
	}
	head, err := b.repo.Stream(b.ctx, id)
	require.NoError(t, err)
	require.Equal(t, []int64{m.watermark(), m.current()}, []int64{head.Watermark, head.CurrentVersion})
	seen := readAll(t, b.repo.Read(b.ctx, id, eventstream.ReadOptions{}))
	require.Len(t, seen, int(m.watermark()))
	for _, e := range seen {
		require.Equal(t, m.known[e.Version], e.ID)
	}
	require.Equal(t, int64(len(m.known))-m.watermark(),
		number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.pending_events WHERE stream_id = $1`, id))
}
