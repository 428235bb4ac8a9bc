package eventstream

import (
	"fmt"
	"slices"
	"time"
)

// EventStream is the ordered history of one thing: events whose versions run 1, 2, 3 ... without a gap. It does no I/O: New,
// Reconstruct or a repository makes one, AppendEvent adds to it in memory, and a repository saves what was added.
//
// The watermark is the highest version up to which every event exists and is confirmed by the database; events above it are
// new (NewEvents). A stream loaded on top of a snapshot has a base version, and its events follow that.
//
// An EventStream is not safe for use by several goroutines at once; Clone gives each its own.
type EventStream struct {
	id        StreamID
	partition PartitionKey
	// tenant is what the database knows of a stream whose events were not all loaded; empty if nothing is known.
	tenant TenantID
	// events run base+1, base+2 ... and reach at least the watermark, and at most current.
	events    []Event
	base      int64
	watermark int64
	current   int64
	// expected is for the next append only; nil is no expectation.
	expected  *int64
	createdAt time.Time
	updatedAt time.Time
}

// New returns an empty stream at version 0, in the partition that PartitionOf gives for DefaultPartitionCount.
//
// An id that is not valid is reported by the first append, or when the stream is saved; NewStreamID reports it at once.
func New(id StreamID) *EventStream {
	now := normalTime(time.Now())
	return &EventStream{
		id:        id,
		partition: partitionOf(id, DefaultPartitionCount),
		createdAt: now,
		updatedAt: now,
	}
}

// StreamID returns the name of the stream.
func (s *EventStream) StreamID() StreamID { return s.id }

// PartitionKey returns the partition that the stream is in.
func (s *EventStream) PartitionKey() PartitionKey { return s.partition }

// CurrentVersion returns the highest version known, 0 for an empty stream. It counts new events, and events that the database
// holds back because one before them is missing.
func (s *EventStream) CurrentVersion() int64 { return s.current }

// Watermark returns the highest version up to which every event is present and confirmed by the database; 0 for none.
func (s *EventStream) Watermark() int64 { return s.watermark }

// BaseVersion returns the version of the snapshot that the stream was loaded on; 0 for a stream loaded whole.
func (s *EventStream) BaseVersion() int64 { return s.base }

// EventCount returns the number of events in memory: those above the base version, new ones included.
func (s *EventStream) EventCount() int { return len(s.events) }

// CreatedAt returns when the stream was made, in UTC: by the database's clock once it is saved.
func (s *EventStream) CreatedAt() time.Time { return s.createdAt }

// UpdatedAt returns when the stream changed last, in UTC: by the database's clock once it is saved. Where that clock was set back, it may be
// before CreatedAt. An append moves it, but never back: the database's clock may be ahead of ours.
func (s *EventStream) UpdatedAt() time.Time { return s.updatedAt }

// ExpectedVersion returns the version that the next append expects, and whether one is expected.
func (s *EventStream) ExpectedVersion() (int64, bool) {
	if s.expected == nil {
		return 0, false
	}
	return *s.expected, true
}

// EventsFrom returns the events from version on, that one included. Below 1 or past the current version the result is empty,
// never an error; at or below the base version it starts with the first event in memory. The events are copies.
func (s *EventStream) EventsFrom(version int64) []Event {
	if version < 1 || version > s.lastVersion() {
		return []Event{}
	}
	return cloneEvents(s.events[max(0, version-s.base-1):])
}

// NewEvents returns the events above the watermark: those that are not saved yet. The events are copies.
func (s *EventStream) NewEvents() []Event {
	return cloneEvents(s.unsaved())
}

// unsaved is NewEvents without the copies.
func (s *EventStream) unsaved() []Event { return s.events[s.watermark-s.base:] }

// lastVersion is the version of the last event in memory. It is below the current version if the database holds events back.
func (s *EventStream) lastVersion() int64 { return s.base + int64(len(s.events)) }

// IsGapless reports whether every version from the base to the watermark is present, once, in order. The other functions keep
// it so; this one looks.
func (s *EventStream) IsGapless() bool {
	confirmed := s.watermark - s.base
	if confirmed < 0 || int64(len(s.events)) < confirmed {
		return false
	}
	for i, e := range s.events[:confirmed] {
		if e.Version != s.base+int64(i)+1 {
			return false
		}
	}
	return true
}

// TenantID returns the owner of the stream: the tenant of its first event, or "" while it is empty.
func (s *EventStream) TenantID() TenantID {
	if len(s.events) == 0 {
		return s.tenant
	}
	return s.events[0].TenantID
}

// HasConsistentTenant reports whether every event belongs to one tenant, which is so while there is none. Appending keeps it
// so; a stream put together by Reconstruct may be found mixed.
func (s *EventStream) HasConsistentTenant() bool {
	tenant := s.TenantID()
	return !slices.ContainsFunc(s.events, func(e Event) bool { return e.TenantID != tenant })
}

// Clone returns a copy that shares nothing with s.
func (s *EventStream) Clone() *EventStream {
	c := *s
	if s.events != nil {
		c.events = cloneEvents(s.events)
	}
	c.expected = clonePointer(s.expected)
	return &c
}

// String returns a line for logs: the id, where the stream stands, and what is not saved yet.
func (s *EventStream) String() string {
	return fmt.Sprintf("stream %s at version %d (watermark %d, %d new, %s)",
		quote(string(s.id)), s.current, s.watermark, len(s.unsaved()), s.partition)
}

func cloneEvents(events []Event) []Event {
	clones := make([]Event, len(events))
	for i, e := range events {
		clones[i] = e.Clone()
	}
	return clones
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
