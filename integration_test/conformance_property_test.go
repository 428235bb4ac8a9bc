package integration_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

// Whatever is appended, in whatever order and however often, the store in memory answers as the repository does, and holds the same.
func TestMemoryAnswersAsTheRepository(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		category := fmt.Sprintf("run%d", run)
		memory := eventstreamtest.NewMemory()
		var known []eventstream.Event
		for range rapid.IntRange(1, 6).Draw(rt, "calls") {
			var requests []eventstream.AppendRequest
			for range rapid.IntRange(1, 3).Draw(rt, "requests") {
				requests = append(requests, drawRequest(rt, category, &known))
			}
			want, wantErr := b.repo.AppendMany(b.ctx, requests...)
			got, gotErr := memory.AppendMany(b.ctx, requests...)
			require.Equal(rt, saidOf(wantErr, len(requests)), saidOf(gotErr, len(requests)))
			require.Equal(rt, withoutPositions(want), withoutPositions(got))
			if rapid.IntRange(0, 5).Draw(rt, "closes") == 0 {
				request := drawRequest(rt, category, &known)
				want, wantErr := b.repo.CloseStream(b.ctx, request.StreamID, request.Expected, "done")
				got, gotErr := memory.CloseStream(b.ctx, request.StreamID, request.Expected, "done")
				require.Equal(rt, want, got)
				for _, refusal := range []error{eventstream.ErrVersionConflict, eventstream.ErrStreamMissing} {
					require.Equal(rt, errors.Is(wantErr, refusal), errors.Is(gotErr, refusal), "%v, and %v", wantErr, gotErr)
				}
				require.Equal(rt, wantErr == nil, gotErr == nil)
			}
		}
		require.Equal(rt, heldBy(rt, b, b.repo, category), heldBy(rt, b, memory, category))
	})
	requireAuditClean(t, b)
}

// drawRequest is a request of new events and of those that were drawn before, some of which say something else now.
func drawRequest(rt *rapid.T, category string, known *[]eventstream.Event) eventstream.AppendRequest {
	request := eventstream.AppendRequest{
		StreamID: eventstream.StreamID(category + rapid.SampledFrom([]string{"-a", "-b", "-c"}).Draw(rt, "stream")),
		Expected: rapid.SampledFrom([]eventstream.Expected{
			eventstream.Any, eventstream.Any, eventstream.Any, eventstream.Exists, eventstream.Empty,
			eventstream.Exact(0), eventstream.Exact(1), eventstream.Exact(2), eventstream.Exact(3),
		}).Draw(rt, "expected"),
	}
	// The usual partition, or the one after it.
	if place := rapid.SampledFrom([]int{-1, -1, -1, -1, 0, 1}).Draw(rt, "partition"); place >= 0 {
		key, err := eventstream.PartitionOf(request.StreamID, eventstream.DefaultPartitionCount)
		require.NoError(rt, err)
		key.ID = (key.ID + place) % key.Count
		request.Partition = &key
	}
	tenant := rapid.SampledFrom([]eventstream.TenantID{"", "", "", "default", "acme"}).Draw(rt, "tenant")
	first := rapid.IntRange(0, 3*len(*known)+2).Draw(rt, "first known")
	for i := range rapid.IntRange(1, 3).Draw(rt, "events") {
		if first+i < len(*known) {
			e := (*known)[first+i]
			if rapid.IntRange(0, 9).Draw(rt, "changed") == 0 {
				e.Payload = []byte(`"changed"`)
			}
			request.Events = append(request.Events, e)
			continue
		}
		payload := rapid.SampledFrom([]string{`{"n":1.0,"aa":[1e2,null]}`, `"text"`, `-0.50`, `{"b":1,"a":{"c":"\u00e9\n"}}`}).Draw(rt, "payload")
		e, err := eventstream.NewEvent("thing.happened", []byte(payload))
		require.NoError(rt, err)
		e.TenantID = tenant
		*known = append(*known, e)
		request.Events = append(request.Events, e)
	}
	return request
}

// saidOf is what an error says, but for the words of the database about an id. Of several mistakes in one call, any may be the one that is named.
func saidOf(err error, requests int) string {
	switch {
	case err == nil:
		return ""
	case requests > 1 && (errors.Is(err, eventstream.ErrEventIDConflict) || errors.Is(err, eventstream.ErrPartitionMismatch)):
		return "event id conflict, or another partition"
	case errors.Is(err, eventstream.ErrEventIDConflict):
		return "event id conflict"
	}
	said := err.Error()
	var batch *eventstream.BatchError
	if errors.As(err, &batch) {
		for _, refused := range batch.Refused {
			said += fmt.Sprintf("\n%d %s %v", refused.Index, refused.StreamID, refused.Err)
		}
	}
	return said
}

func withoutPositions(results []eventstream.AppendResult) []eventstream.AppendResult {
	for i := range results {
		results[i].LastPosition = 0
	}
	return results
}

// heldEvent is what counts of an event, and does not depend on the store.
type heldEvent struct {
	ID                uuid.UUID
	Stream            eventstream.StreamID
	Version           int64
	Tenant            eventstream.TenantID
	Partition         int
	Payload, Metadata string
}

func heldBy(t tester, b *bundle, store eventstream.Store, category string) (held []heldEvent) {
	t.Helper()
	for _, e := range readAll(t, store.ReadLog(b.ctx, eventstream.LogOptions{Filter: eventstream.LogFilter{Category: category}})) {
		if e.Type == eventstream.ClosedType {
			e.ID = uuid.UUID{} // each store's own
		}
		held = append(held, heldEvent{e.ID, e.StreamID, e.Version, e.TenantID, e.PartitionID, string(e.Payload), string(e.Metadata)})
	}
	return held
}
