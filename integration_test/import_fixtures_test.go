package integration_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// errSource is what ends a source before its time.
var errSource = errors.New("the source fails")

// aYearAgo is when imported events happened, with a fraction of a second that PostgreSQL can hold.
var aYearAgo = time.Date(2025, 11, 24, 12, 30, 45, 123_456_000, time.UTC)

// sourceOf yields events.
func sourceOf(events ...eventstream.Event) iter.Seq2[eventstream.Event, error] {
	return failingSource(nil, events...)
}

// failingSource yields events, and then the error unless it is nil.
func failingSource(err error, events ...eventstream.Event) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(eventstream.Event{}, err)
		}
	}
}

// history is a source that makes its events as they are asked for, the same ones every time: streams of the given length, in
// groups of ten whose events alternate.
type history struct {
	events, perStream int
	// numbered gives the events their versions.
	numbered bool
	// before is called with the number of each event before it is yielded; an error ends the source. Default: none.
	before func(n int) error
}

func (h history) all() iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		for n := range h.events {
			if h.before != nil {
				if err := h.before(n); err != nil {
					yield(eventstream.Event{}, err)
					return
				}
			}
			if !yield(h.event(n), nil) {
				return
			}
		}
	}
}

// event makes the n-th event of the history.
func (h history) event(n int) eventstream.Event {
	group, within := n/(10*h.perStream), n%(10*h.perStream)
	e := eventstream.Event{
		StreamID:   eventstream.StreamID(fmt.Sprintf("import-%d", 10*group+within%10)),
		Type:       "order.placed",
		Payload:    fmt.Appendf(nil, `{"n": %d}`, n),
		OccurredAt: aYearAgo.Add(time.Duration(n) * time.Microsecond),
	}
	binary.BigEndian.PutUint64(e.ID[8:], uint64(n+1))
	if h.numbered {
		e.Version = int64(within/10 + 1)
	}
	return e
}

// failAt ends a history before its n-th event.
func failAt(n int) func(int) error {
	return func(at int) error {
		if at == n {
			return errSource
		}
		return nil
	}
}

// requireHistory demands that the store holds this history and nothing else, each event once, with all that the source said of
// it, in the order of the source, and that the audit is clean.
func requireHistory(t testing.TB, b *bundle, h history) {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `
		SELECT event_id, stream_id::text, version::bigint, type::text, payload::text, occurred_at, tenant_id::text
		FROM eventstream.events ORDER BY position`)
	require.NoError(t, err)
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var got, want eventstream.Event
		var id uuid.UUID
		var payload string
		require.NoError(t, rows.Scan(&id, &got.StreamID, &got.Version, &got.Type, &payload, &got.OccurredAt, &got.TenantID))
		want = h.event(n)
		same := id == want.ID && got.StreamID == want.StreamID && got.Version == int64(n%(10*h.perStream)/10+1) &&
			got.Type == want.Type && payload == string(want.Payload) && got.OccurredAt.Equal(want.OccurredAt) &&
			got.TenantID == eventstream.DefaultTenant
		require.True(t, same, "event %d: got %+v (%s, %s), want %+v", n, got, id, payload, want)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, h.events, n)
	requireAuditClean(t, b)
}

// eventsIn is how many events the store has.
func eventsIn(t testing.TB, b *bundle) int64 {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`)
}

// lastPosition is the highest position of the store.
func lastPosition(t testing.TB, b *bundle) int64 {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT coalesce(max(position), 0) FROM eventstream.events`)
}

// of puts events into a stream's hands, as a source would name it.
func of(id eventstream.StreamID, events ...eventstream.Event) []eventstream.Event {
	for i := range events {
		events[i].StreamID = id
	}
	return events
}
