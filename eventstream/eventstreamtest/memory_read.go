package eventstreamtest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Load is Repository.Load.
func (m *Memory) Load(ctx context.Context, id eventstream.StreamID) (*eventstream.EventStream, error) {
	head, err := m.Stream(ctx, id)
	if err != nil {
		return nil, err
	}
	m.mu.RLock()
	events := make([]eventstream.Event, 0, head.CurrentVersion)
	for _, e := range m.streams[id].events[:head.CurrentVersion] {
		events = append(events, e.Event)
	}
	m.mu.RUnlock()
	return eventstream.Reconstruct(id, head.Partition, head.CurrentVersion, head.Watermark, events, nil, head.CreatedAt, head.UpdatedAt)
}

// GetOrCreate is Repository.GetOrCreate.
func (m *Memory) GetOrCreate(ctx context.Context, id eventstream.StreamID) (*eventstream.EventStream, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	missing := m.streams[id] == nil
	m.mu.RUnlock()
	if missing {
		return eventstream.New(id), nil
	}
	return m.Load(ctx, id)
}

// Event is Repository.Event.
func (m *Memory) Event(ctx context.Context, eventID uuid.UUID) (eventstream.Event, error) {
	if err := ctx.Err(); err != nil {
		return eventstream.Event{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if e := m.ids[eventID]; e != nil {
		return copyOf(e), nil
	}
	return eventstream.Event{}, &eventstream.EventNotFoundError{EventID: eventID}
}

// Stream is Repository.Stream.
func (m *Memory) Stream(ctx context.Context, id eventstream.StreamID) (eventstream.StreamHead, error) {
	if err := id.Validate(); err != nil {
		return eventstream.StreamHead{}, err
	}
	if err := ctx.Err(); err != nil {
		return eventstream.StreamHead{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s := m.streams[id]; s != nil {
		return s.head(), nil
	}
	return eventstream.StreamHead{}, &eventstream.StreamNotFoundError{StreamID: id}
}

func (s *stream) head() eventstream.StreamHead {
	first, last := s.events[0], s.events[len(s.events)-1]
	return eventstream.StreamHead{
		StreamID: s.id, TenantID: s.tenant,
		Partition:      eventstream.PartitionKey{ID: s.partition, Count: eventstream.DefaultPartitionCount},
		CurrentVersion: last.Version, Watermark: last.Version, LastPosition: last.Position,
		CreatedAt: first.RecordedAt, UpdatedAt: last.RecordedAt,
	}
}

// Read is Repository.Read.
func (m *Memory) Read(ctx context.Context, id eventstream.StreamID, opts eventstream.ReadOptions) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		if opts.From < 0 || opts.Limit < 0 {
			yield(eventstream.Event{}, invalid.Value("ReadOptions", strconv.FormatInt(min(opts.From, int64(opts.Limit)), 10), "0 or more"))
			return
		}
		head, err := m.Stream(ctx, id)
		if err != nil {
			yield(eventstream.Event{}, err)
			return
		}
		version, step := max(opts.From, 1), int64(1)
		if opts.Backwards {
			version, step = head.Watermark, -1
			if opts.From > 0 {
				version = min(version, opts.From)
			}
		}
		for left := opts.Limit; ; version += step {
			e, found := m.at(id, version)
			if !found {
				return
			}
			if err := ctx.Err(); err != nil {
				yield(eventstream.Event{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

func (m *Memory) at(id eventstream.StreamID, version int64) (eventstream.Event, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.streams[id]
	if version < 1 || version > int64(len(s.events)) {
		return eventstream.Event{}, false
	}
	return copyOf(s.events[version-1]), true
}

// Streams is Repository.Streams.
func (m *Memory) Streams(ctx context.Context, filter eventstream.StreamFilter) iter.Seq2[eventstream.StreamHead, error] {
	return func(yield func(eventstream.StreamHead, error) bool) {
		if err := checkStreamFilter(filter); err != nil {
			yield(eventstream.StreamHead{}, err)
			return
		}
		left := filter.Limit
		for _, head := range m.heads(filter) {
			if err := ctx.Err(); err != nil {
				yield(eventstream.StreamHead{}, err)
				return
			}
			if !yield(head, nil) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(eventstream.StreamHead{}, err)
		}
	}
}

func (m *Memory) heads(filter eventstream.StreamFilter) (heads []eventstream.StreamHead) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, id := range slices.Sorted(maps.Keys(m.streams)) {
		s := m.streams[id]
		if id > filter.After && (filter.Tenant == "" || filter.Tenant == s.tenant) &&
			(filter.Category == "" || filter.Category == id.Category()) &&
			(filter.Partition == nil || *filter.Partition == s.partition) {
			heads = append(heads, s.head())
		}
	}
	return heads
}

func checkStreamFilter(filter eventstream.StreamFilter) error {
	if filter.Limit < 0 {
		return invalid.Value("StreamFilter.Limit", strconv.Itoa(filter.Limit), "0 or more")
	}
	if filter.Tenant != "" {
		if err := filter.Tenant.Validate(); err != nil {
			return err
		}
	}
	if err := checkCategory("StreamFilter.Category", filter.Category); err != nil {
		return err
	}
	if filter.Partition == nil {
		return nil
	}
	_, err := eventstream.NewPartitionKey(*filter.Partition, eventstream.DefaultPartitionCount)
	return err
}

// checkCategory refuses what is not the category of any stream id; "" stands for all.
func checkCategory(field, category string) error {
	id := eventstream.StreamID(category)
	if category == "" || id.Category() == category && (id.Validate() == nil || (id+"-").Validate() == nil) {
		return nil
	}
	return invalid.Value(field, category, "the part of a stream id before its first -")
}
