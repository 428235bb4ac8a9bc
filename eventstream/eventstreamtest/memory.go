package eventstreamtest

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Memory is a store in memory, for tests without a database: an eventstream.Store with the contract of a Repository, as far as it can be seen
// from outside. Its log is stable at once, and positions have no holes. The zero value is an empty store; it is safe for use by several goroutines.
type Memory struct {
	mu sync.RWMutex
	// log has all events in order of their positions: the first is at position 1.
	log     []*stored
	streams map[eventstream.StreamID]*stream
	ids     map[uuid.UUID]*stored
	// partitions counts the events of each partition.
	partitions [eventstream.DefaultPartitionCount]int64
}

var _ eventstream.Store = (*Memory)(nil)

// stored is an event of the log. It never changes.
type stored struct {
	eventstream.Event
	partitionSequence int64
}

// stream is the events of one stream.
type stream struct {
	id        eventstream.StreamID
	tenant    eventstream.TenantID
	partition int
	events    []*stored
}

// NewMemory returns an empty store, of eventstream.DefaultPartitionCount partitions.
func NewMemory() *Memory { return &Memory{} }

// Append is Repository.Append.
func (m *Memory) Append(
	ctx context.Context, id eventstream.StreamID, expected eventstream.Expected, events ...eventstream.Event,
) (eventstream.AppendResult, error) {
	request := eventstream.AppendRequest{StreamID: id, Expected: expected, Events: events}
	results, refused, err := m.append(ctx, []eventstream.AppendRequest{request})
	switch {
	case err != nil:
		return eventstream.AppendResult{}, err
	case refused != nil:
		return eventstream.AppendResult{}, refused[0].Err
	}
	return results[0], nil
}

// AppendMany is Repository.AppendMany.
func (m *Memory) AppendMany(ctx context.Context, requests ...eventstream.AppendRequest) ([]eventstream.AppendResult, error) {
	results, refused, err := m.append(ctx, requests)
	if err == nil && refused != nil {
		err = &eventstream.BatchError{Requests: len(requests), Refused: refused}
	}
	if err != nil {
		return nil, err
	}
	return results, nil
}

func (m *Memory) append(ctx context.Context, requests []eventstream.AppendRequest) ([]eventstream.AppendResult, []eventstream.RequestError, error) {
	if err := checkRequests(requests); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, &eventstream.AppendCanceledError{StreamID: requests[0].StreamID, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.appendLocked(requests)
}

// appendLocked judges and writes requests. The caller holds mu.
func (m *Memory) appendLocked(requests []eventstream.AppendRequest) ([]eventstream.AppendResult, []eventstream.RequestError, error) {
	if m.streams == nil {
		m.streams, m.ids = map[eventstream.StreamID]*stream{}, map[uuid.UUID]*stored{}
	}
	j := newJudgement(m, requests)
	if err := j.judge(); err != nil {
		return nil, nil, err
	}
	if j.refused != nil {
		return nil, j.refused, nil
	}
	j.write(now())
	return j.results, nil, nil
}

// Save is Repository.Save.
func (m *Memory) Save(ctx context.Context, s *eventstream.EventStream) (eventstream.AppendResult, error) {
	if s == nil {
		return eventstream.AppendResult{}, invalid.Value("stream", "nil", "made by New, Load or GetOrCreate")
	}
	events := s.NewEvents()
	if len(events) == 0 {
		return eventstream.AppendResult{CurrentVersion: s.CurrentVersion()}, nil
	}
	request := eventstream.AppendRequest{StreamID: s.StreamID(), Expected: eventstream.Exact(s.Watermark()), Events: events}
	if s.Watermark() == 0 {
		placement, err := placementOf(s)
		if err != nil {
			return eventstream.AppendResult{}, err
		}
		request.Partition = &placement
	}
	results, refused, err := m.append(ctx, []eventstream.AppendRequest{request})
	if err == nil && refused != nil {
		err = refused[0].Err
	}
	if err != nil {
		return eventstream.AppendResult{}, err
	}
	return results[0], confirm(s, request.Partition)
}

// placementOf is the partition that a new stream goes into: one that was chosen for another count is the usual one of this store.
func placementOf(s *eventstream.EventStream) (eventstream.PartitionKey, error) {
	chosen := s.PartitionKey()
	if chosen.Count == eventstream.DefaultPartitionCount {
		return chosen, nil
	}
	if usual, err := eventstream.PartitionOf(s.StreamID(), chosen.Count); err != nil || chosen != usual {
		return eventstream.PartitionKey{}, &eventstream.StoreMismatchError{
			Subject: "partition count", Expected: int64(chosen.Count), Actual: eventstream.DefaultPartitionCount,
		}
	}
	return eventstream.PartitionOf(s.StreamID(), eventstream.DefaultPartitionCount)
}

// confirm moves the watermark of a stream that was saved over its new events.
func confirm(s *eventstream.EventStream, placed *eventstream.PartitionKey) error {
	partition, events := s.PartitionKey(), s.EventsFrom(s.BaseVersion()+1)
	if placed != nil {
		partition = *placed
		for i := range events {
			events[i].PartitionID = partition.ID
		}
	}
	var expected *int64
	if version, is := s.ExpectedVersion(); is {
		expected = &version
	}
	saved, err := eventstream.ReconstructFrom(s.BaseVersion(), s.StreamID(), partition, s.CurrentVersion(), s.CurrentVersion(), events, expected,
		s.CreatedAt(), now())
	if err == nil {
		*s = *saved
	}
	return err
}

// copyOf gives an event away.
func copyOf(e *stored) eventstream.Event { return e.Clone() }

// now is a time as the database gives it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// sameContent says whether an event that is appended again is the one that is there: metadata and times do not count.
func sameContent(a, b *eventstream.Event) bool {
	return a.Type == b.Type && samePayload(a.Payload, b.Payload) && (a.Data == nil) == (b.Data == nil) && bytes.Equal(a.Data, b.Data)
}
