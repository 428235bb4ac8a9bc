package integration_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// refuseImport imports a source after some events that are in order, and demands that it is refused at the last event with
// this cause, that the message names the event, and that nothing of the source is written.
func refuseImport[E error](t testing.TB, b *bundle, cause E, source ...eventstream.Event) {
	t.Helper()
	unchanged := untouched(t, b)
	source = append(of("fine-1", someEvents(t, 3)...), source...)
	last := source[len(source)-1]
	result, err := b.repo.Import(b.ctx, sourceOf(source...))
	require.Zero(t, result)
	var refused *eventstream.ImportError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, int64(len(source)-1), refused.Index)
	require.Equal(t, []any{last.StreamID, last.Version, last.ID}, []any{refused.StreamID, refused.Version, refused.EventID})
	require.Equal(t, cause, refused.Err)
	require.False(t, eventstream.SafeToRetry(err))
	for _, word := range []string{string(last.StreamID), last.ID.String(), cause.Error()} {
		require.Contains(t, err.Error(), word)
	}
	unchanged()
	requireAuditClean(t, b)
}

func at(version int64, e eventstream.Event) eventstream.Event {
	e.Version = version
	return e
}

// A hole is refused wherever it is, with the first version that is missing.
func TestImportRefusesAHole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "old-1", 3)
	events := func(id eventstream.StreamID, versions ...int64) (source []eventstream.Event) {
		for _, version := range versions {
			source = append(source, of(id, at(version, anEvent(t, 1)))...)
		}
		return source
	}
	for name, c := range map[string]struct {
		source         []eventstream.Event
		missing, known int64
	}{
		"at the start of a new stream":  {events("new-1", 2), 1, 2},
		"above the watermark":           {events("old-1", 5), 4, 5},
		"inside the source":             {events("old-1", 4, 6), 5, 6},
		"after events without versions": {events("new-2", 0, 3), 2, 3},
		"in the wrong order":            {events("new-3", 1, 3), 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			gap := &eventstream.GapError{StreamID: c.source[0].StreamID, FirstMissing: c.missing, CurrentVersion: c.known}
			refuseImport(t, b, gap, c.source...)
		})
	}
}

// A stream with a hole takes nothing new until Ingest fills it; what it has is still recognised.
func TestImportDoesNotPassAHoleOfTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 4)
	_, err := b.repo.Ingest(b.ctx, "holed-1", events[0], events[3])
	require.NoError(t, err)
	for _, next := range []eventstream.Event{anEvent(t, 9), events[1]} {
		_, err = b.repo.Import(b.ctx, sourceOf(of("holed-1", events[0], next)...))
		var gap *eventstream.GapError
		require.ErrorAs(t, err, &gap)
		require.Equal(t, eventstream.GapError{StreamID: "holed-1", FirstMissing: 2, CurrentVersion: 4}, *gap)
	}
	result, err := b.repo.Import(b.ctx, sourceOf(of("holed-1", events[0])...))
	require.NoError(t, err)
	require.Equal(t, eventstream.ImportResult{Skipped: 1}, result)

	_, err = b.repo.Ingest(b.ctx, "holed-1", events[1:3]...)
	require.NoError(t, err)
	result, err = b.repo.Import(b.ctx, sourceOf(of("holed-1", events...)...))
	require.NoError(t, err)
	require.Equal(t, eventstream.ImportResult{Skipped: 4}, result)
	requireAuditClean(t, b)
}

// Two events for a version, and two places for an event: both values are named, in the store as in the chunk.
func TestImportRefusesWhatContradicts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := given(t, b, "old-1", 3)
	elsewhere := given(t, b, "old-2", 1)[0]
	fresh := someEvents(t, 3)
	versionTaken := func(version int64, e, other eventstream.Event, place string) *eventstream.IngestConflictError {
		return &eventstream.IngestConflictError{StreamID: "old-1", Version: version, EventID: e.ID, OtherEventID: other.ID, Place: place}
	}
	idTaken := func(e eventstream.Event, id, found eventstream.StreamID, version int64) *eventstream.EventIDConflictError {
		return &eventstream.EventIDConflictError{
			EventID: e.ID, StreamID: id, FoundStreamID: found, FoundVersion: version, Problem: "is there already",
		}
	}
	t.Run("another event", func(t *testing.T) {
		refuseImport(t, b, versionTaken(2, fresh[0], old[1], "events"), of("old-1", at(2, fresh[0]))...)
	})
	t.Run("the event of another version", func(t *testing.T) {
		refuseImport(t, b, versionTaken(2, old[2], old[1], "events"), of("old-1", at(2, old[2]))...)
	})
	t.Run("another event of the chunk", func(t *testing.T) {
		refuseImport(t, b, versionTaken(4, fresh[1], fresh[0], "this call"), of("old-1", at(4, fresh[0]), at(4, fresh[1]))...)
	})
	t.Run("an event of another stream", func(t *testing.T) {
		refuseImport(t, b, idTaken(elsewhere, "old-1", "old-2", 1), of("old-1", fresh[0], elsewhere)...)
	})
	t.Run("an event of the chunk in another stream", func(t *testing.T) {
		source := append(of("old-1", fresh[0]), of("new-1", fresh[0].Clone())...)
		source[1].StreamID = "new-1"
		refuseImport(t, b, idTaken(fresh[0], "new-1", "old-1", 4), source...)
	})
	t.Run("an event of the chunk at another version", func(t *testing.T) {
		refuseImport(t, b, idTaken(fresh[0], "old-1", "old-1", 4), of("old-1", at(4, fresh[0]), at(5, fresh[0]))...)
	})
}

// Events that would be new by their stream and version are not looked for until the copy fails: then the message is the same.
func TestImportOfNewVersionsFindsAnEventElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := given(t, b, "old-1", 3)
	for _, c := range []struct {
		id      eventstream.StreamID
		version int64
	}{{"new-1", 0}, {"new-1", 1}, {"old-1", 4}} {
		_, err := b.repo.Import(b.ctx, sourceOf(of(c.id, at(c.version, old[1]))...))
		var refused *eventstream.ImportError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, &eventstream.EventIDConflictError{
			EventID: old[1].ID, StreamID: c.id, FoundStreamID: "old-1", FoundVersion: 2, Problem: "is there already",
		}, refused.Err)
	}
	// The first event at fault is named, also where a later one is found out sooner.
	_, err := b.repo.Import(b.ctx, sourceOf(of("new-1", at(1, old[1]), at(3, anEvent(t, 3)))...))
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	require.Equal(t, int64(3), eventsIn(t, b))
	requireAuditClean(t, b)
}

// Values are judged where the source is read, so that the message names the event.
func TestImportRefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "old-1", 1)
	for field, spoil := range map[string]func(*eventstream.Event){
		"event_id":    func(e *eventstream.Event) { e.ID = uuid.Nil },
		"stream_id":   func(e *eventstream.Event) { e.StreamID = "" },
		"event_type":  func(e *eventstream.Event) { e.Type = " padded" },
		"payload":     func(e *eventstream.Event) { e.Payload = nil },
		"metadata":    func(e *eventstream.Event) { e.Metadata = []byte(`[]`) },
		"occurred_at": func(e *eventstream.Event) { e.OccurredAt = time.Time{} },
		"version":     func(e *eventstream.Event) { e.Version = -1 },
		"tenant_id":   func(e *eventstream.Event) { e.TenantID = "no such tenant" },
	} {
		t.Run(field, func(t *testing.T) {
			source := of("old-1", anEvent(t, 1), anEvent(t, 2))
			spoil(&source[1])
			result, err := b.repo.Import(b.ctx, sourceOf(source...))
			require.Zero(t, result)
			var refused *eventstream.ImportError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, int64(1), refused.Index)
			var invalid *eventstream.InvalidValueError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, field, invalid.Field)
			require.Equal(t, int64(1), eventsIn(t, b))
		})
	}
	requireAuditClean(t, b)
}

// A stream has one tenant: that of the store, or that of its first event in the source.
func TestImportRefusesASecondTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "old-1", 1)
	acme, globex := anEvent(t, 1, eventstream.WithTenant("acme")), anEvent(t, 2, eventstream.WithTenant("globex"))
	refuseImport(t, b, &eventstream.TenantMismatchError{StreamID: "old-1", StreamTenant: "default", EventTenant: "acme"},
		of("old-1", acme)...)
	refuseImport(t, b, &eventstream.TenantMismatchError{StreamID: "new-1", StreamTenant: "acme", EventTenant: "globex"},
		of("new-1", acme, globex)...)
	refuseImport(t, b, &eventstream.TenantMismatchError{StreamID: "new-1", StreamTenant: "default", EventTenant: "globex"},
		of("new-1", anEvent(t, 1), globex)...)
}

// The index counts from the start of the source, whatever was skipped or committed before.
func TestImportCountsFromTheStartOfTheSource(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := history{events: inSecondChunk + 1, perStream: 20, numbered: true}
	for range 2 {
		result, err := b.repo.Import(b.ctx, func(yield func(eventstream.Event, error) bool) {
			for n := range h.events {
				e := h.event(n)
				if n == inSecondChunk {
					e.Version += 7
				}
				if !yield(e, nil) {
					return
				}
			}
		})
		var refused *eventstream.ImportError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, int64(inSecondChunk), refused.Index)
		require.ErrorIs(t, err, eventstream.ErrGap)
		require.Equal(t, int64(eventstream.MaxImportEvents), result.Imported+result.Skipped)
	}
	requireAuditClean(t, b)
}
