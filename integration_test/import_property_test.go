package integration_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Whatever a source says, in however many parts and with failures in between, the store is what a simple model says: a list of
// ids for each stream.
func TestImportAgainstAModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var runs atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		run := runs.Add(1)
		m := importModel{}
		ids := make([]uuid.UUID, 12)
		for i := range ids {
			ids[i] = anEvent(t, i).ID
		}
		for range rapid.IntRange(1, 5).Draw(t, "imports") {
			source := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) eventstream.Event {
				e := anEvent(t, 1, eventstream.WithEventID(rapid.SampledFrom(ids).Draw(t, "id")))
				e.StreamID = eventstream.StreamID(fmt.Sprintf("model-%d-%d", run, rapid.IntRange(1, 2).Draw(t, "stream")))
				e.Version = max(0, rapid.Int64Range(-5, 6).Draw(t, "version"))
				return e
			}), 0, 10).Draw(t, "source")
			if rapid.Bool().Draw(t, "fits") {
				source = m.fitting(source)
			}
			m.importSome(t, b, source, rapid.IntRange(0, 5).Draw(t, "fails") == 0)
			m.check(t, b, run)
		}
	})
	requireAuditClean(t, b)
}

// importModel is streams as lists of event ids.
type importModel map[eventstream.StreamID][]uuid.UUID

func (m importModel) clone() importModel {
	c := importModel{}
	for id, events := range m {
		c[id] = append([]uuid.UUID(nil), events...)
	}
	return c
}

// place is where an event is, from version 1; 0 if it is nowhere.
func (m importModel) place(id uuid.UUID) (eventstream.StreamID, int64) {
	for stream, events := range m {
		for i, there := range events {
			if there == id {
				return stream, int64(i + 1)
			}
		}
	}
	return "", 0
}

// take is the whole rule for one event.
func (m importModel) take(e eventstream.Event) (written bool, refusal error) {
	length := int64(len(m[e.StreamID]))
	stream, version := m.place(e.ID)
	switch {
	case e.Version > length+1:
		return false, eventstream.ErrGap
	case version > 0 && stream == e.StreamID && (e.Version == 0 || e.Version == version):
		return false, nil
	case e.Version > 0 && e.Version <= length:
		return false, eventstream.ErrVersionConflict
	case version > 0:
		return false, eventstream.ErrEventIDConflict
	}
	m[e.StreamID] = append(m[e.StreamID], e.ID)
	return true, nil
}

// fitting leaves out of a source what the model refuses.
func (m importModel) fitting(source []eventstream.Event) []eventstream.Event {
	c, fits := m.clone(), []eventstream.Event(nil)
	for _, e := range source {
		if _, refusal := c.take(e); refusal == nil {
			fits = append(fits, e)
		}
	}
	return fits
}

func (m importModel) importSome(t *rapid.T, b *bundle, source []eventstream.Event, fails bool) {
	var want eventstream.ImportResult
	var refusal error
	next := m.clone()
	for at := 0; at < len(source) && refusal == nil; at++ {
		var written bool
		if written, refusal = next.take(source[at]); written {
			want.Imported++
		} else {
			want.Skipped++
		}
	}
	if fails {
		refusal = errSource // It is noticed before the chunk is looked at.
	}
	var sourceError error
	if fails {
		sourceError = errSource
	}
	got, err := b.repo.Import(b.ctx, failingSource(sourceError, source...))
	if refusal != nil {
		require.ErrorIs(t, err, refusal)
		require.Zero(t, got)
		return
	}
	require.NoError(t, err)
	want.LastPosition = got.LastPosition
	require.Equal(t, want, got)
	require.Equal(t, want.Imported > 0, got.LastPosition > 0)
	for id, events := range next {
		m[id] = events
	}
}

func (m importModel) check(t *rapid.T, b *bundle, run int64) {
	for n := range 2 {
		id := eventstream.StreamID(fmt.Sprintf("model-%d-%d", run, n+1))
		var got []uuid.UUID
		for e, err := range b.repo.Read(b.ctx, id, eventstream.ReadOptions{}) {
			if errors.Is(err, eventstream.ErrStreamNotFound) {
				break
			}
			require.NoError(t, err)
			got = append(got, e.ID)
		}
		require.Equal(t, m[id], got, "stream %s", id)
	}
}
