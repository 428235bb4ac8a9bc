package eventstream

import (
	"math"
	"strconv"
	"time"
)

// ExpectVersion makes the next append fail unless the stream is at version then; 0 expects it to be empty. A negative version
// gives an *InvalidValueError and leaves things as they were. A later call takes the place of an earlier one.
func (s *EventStream) ExpectVersion(version int64) error {
	if version < 0 {
		return invalidValue("expected version", strconv.FormatInt(version, 10), "0 or more")
	}
	s.expected = &version
	return nil
}

// ClearExpectedVersion takes the expectation back, if there is one.
func (s *EventStream) ClearExpectedVersion() { s.expected = nil }

// AppendEvent adds a copy of an event at the version after the current one, and returns that version. It sets the copy's
// stream, version, partition, and tenant: an event that names none takes the stream's, or DefaultTenant if it is the first.
// The watermark stays where it is until the event is saved.
//
// On error nothing changes, an expectation included. The errors are:
//   - *InvalidValueError if the event, or the id of the stream, is not valid;
//   - *StreamMismatchError if the event was made for another stream;
//   - *TenantMismatchError if it belongs to another tenant;
//   - *StreamClosedError if the stream was closed;
//   - *GapError if the stream has a hole;
//   - *VersionConflictError if the version is not the expected one. The append that meets an expectation clears it.
func (s *EventStream) AppendEvent(e Event) (int64, error) {
	if err := s.admit(e); err != nil {
		return 0, err
	}
	s.expected = nil
	s.current++
	s.events = append(s.events, s.stamp(e))
	s.touch(time.Now())
	return s.current, nil
}

// AppendEventWithTenantCheck is AppendEvent for callers who must say whose event it is: one that names no tenant is refused
// with a *TenantMismatchError instead of taking the stream's.
func (s *EventStream) AppendEventWithTenantCheck(e Event) (int64, error) {
	if e.TenantID == "" {
		return 0, s.tenantMismatch(e)
	}
	return s.AppendEvent(e)
}

// ValidateEventTenant returns a *TenantMismatchError if the event belongs to another tenant than the stream, else nil. An
// event that names no tenant fits every stream, and an empty stream takes any tenant.
func (s *EventStream) ValidateEventTenant(e Event) error {
	if tenant := s.TenantID(); e.TenantID != "" && tenant != "" && e.TenantID != tenant {
		return s.tenantMismatch(e)
	}
	return nil
}

func (s *EventStream) tenantMismatch(e Event) error {
	return &TenantMismatchError{StreamID: s.id, StreamTenant: s.TenantID(), EventTenant: e.TenantID}
}

// admit says why an event cannot be appended, in the order of the database: tenant, closed, hole, version.
func (s *EventStream) admit(e Event) error {
	if err := s.id.Validate(); err != nil {
		return err
	}
	if e.StreamID != "" && e.StreamID != s.id {
		return &StreamMismatchError{StreamID: s.id, EventStreamID: e.StreamID}
	}
	if err := e.Validate(); err != nil {
		return err
	}
	if err := s.ValidateEventTenant(e); err != nil {
		return err
	}
	if s.IsClosed() {
		return &StreamClosedError{StreamID: s.id, Version: s.lastVersion()}
	}
	return s.admitVersion()
}

func (s *EventStream) admitVersion() error {
	if last := s.lastVersion(); last != s.current {
		return &GapError{StreamID: s.id, FirstMissing: last + 1, CurrentVersion: s.current}
	}
	if s.expected != nil && *s.expected != s.current {
		return &VersionConflictError{StreamID: s.id, Expected: *s.expected, Actual: s.current}
	}
	if s.current == math.MaxInt64 {
		return invalidValue("version", strconv.FormatInt(s.current, 10), "followed by a number of 64 bits")
	}
	return nil
}

// stamp returns a copy of an event with its place in the stream. What the database gave the event when it was saved before,
// as part of another try, goes.
func (s *EventStream) stamp(e Event) Event {
	e = e.Clone()
	if e.TenantID == "" {
		if e.TenantID = s.TenantID(); e.TenantID == "" {
			e.TenantID = DefaultTenant
		}
	}
	e.StreamID = s.id
	e.Version = s.current
	e.PartitionID = s.partition.ID
	e.OccurredAt = normalTime(e.OccurredAt)
	e.Position, e.RecordedAt = 0, time.Time{}
	return e
}

// touch moves UpdatedAt to t, but never back: the database's clock may be ahead of ours.
func (s *EventStream) touch(t time.Time) {
	if t = normalTime(t); t.After(s.updatedAt) {
		s.updatedAt = t
	}
}

// confirm tells the stream that the database has its events, as of time t: the watermark follows. The saved events, as far as
// the caller has them, take the place of those in memory, with their positions and RecordedAt.
func (s *EventStream) confirm(saved []Event, t time.Time) {
	for _, e := range saved {
		if i := e.Version - s.base - 1; i >= 0 && i < int64(len(s.events)) {
			s.events[i] = e
		}
	}
	s.watermark = s.lastVersion()
	s.touch(t)
}
