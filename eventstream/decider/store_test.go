package decider_test

import (
	"context"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// memory is a store for tests of what Handle does with one: streams without a database, in which a test may play the other writer.
type memory struct {
	mu      sync.Mutex
	streams map[eventstream.StreamID][]eventstream.Event
	// before is called at the beginning of each append, with its number from 1.
	before func(append int)
	// beforeRead is called at the beginning of each read, with its number.
	beforeRead func(read int)
	appends    int
	// bring is how many events a refusal brings at most, whatever it is asked for.
	bring int
	// reads counts calls of Read; asked is what the last append asked for.
	reads int
	asked []eventstream.AppendRequest
	// fail, if it gives one, is the error of an append; lose is one that is given though the append was made.
	fail, lose func(append int) error
}

func (m *memory) Read(_ context.Context, id eventstream.StreamID, opts eventstream.ReadOptions) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		m.reads++
		if m.beforeRead != nil {
			m.beforeRead(m.reads)
		}
		m.mu.Lock()
		events := slices.Clone(m.streams[id])
		m.mu.Unlock()
		if len(events) == 0 {
			yield(eventstream.Event{}, &eventstream.StreamNotFoundError{StreamID: id})
			return
		}
		for _, e := range events {
			if e.Version >= opts.From && !yield(e, nil) {
				return
			}
		}
	}
}

func (m *memory) AppendMany(_ context.Context, requests ...eventstream.AppendRequest) ([]eventstream.AppendResult, error) {
	m.appends++
	m.asked = requests
	if m.before != nil {
		m.before(m.appends)
	}
	if m.fail != nil {
		if err := m.fail(m.appends); err != nil {
			return nil, err
		}
	}
	results, err := m.append(requests)
	if err == nil && m.lose != nil {
		if lost := m.lose(m.appends); lost != nil {
			return nil, lost
		}
	}
	return results, err
}

func (m *memory) append(requests []eventstream.AppendRequest) ([]eventstream.AppendResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refused []eventstream.RequestError
	results := make([]eventstream.AppendResult, len(requests))
	for i, r := range requests {
		stream := m.streams[r.StreamID]
		at := slices.IndexFunc(stream, func(e eventstream.Event) bool { return e.ID == r.Events[0].ID })
		version := int64(len(stream))
		switch {
		case at >= 0:
			results[i] = eventstream.AppendResult{FirstVersion: int64(at + 1), LastVersion: int64(at + len(r.Events)), Duplicate: true}
		case r.Expected.String() != eventstream.Exact(version).String():
			conflict := &eventstream.VersionConflictError{StreamID: r.StreamID, Actual: version}
			for _, e := range stream {
				if eventstream.Exact(e.Version-1).String() == r.Expected.String() || len(conflict.Newer) > 0 {
					conflict.Newer = append(conflict.Newer, e)
				}
			}
			conflict.Newer = conflict.Newer[:min(len(conflict.Newer), m.bring)]
			refused = append(refused, eventstream.RequestError{Index: i, StreamID: r.StreamID, Err: conflict})
		default:
			results[i] = eventstream.AppendResult{FirstVersion: version + 1, LastVersion: version + int64(len(r.Events))}
		}
	}
	if refused != nil {
		return nil, &eventstream.BatchError{Requests: len(requests), Refused: refused}
	}
	for i, r := range requests {
		if !results[i].Duplicate {
			m.put(r.StreamID, r.Events...)
		}
	}
	return results, nil
}

// put adds events to a stream, as another writer.
func (m *memory) put(id eventstream.StreamID, events ...eventstream.Event) {
	if m.streams == nil {
		m.streams = map[eventstream.StreamID][]eventstream.Event{}
	}
	for _, e := range events {
		e.StreamID, e.Version = id, int64(len(m.streams[id])+1)
		m.streams[id] = append(m.streams[id], e)
	}
}

// added is the one kind of event of these tests.
type added struct {
	N int `json:"n"`
}

func anAdded(t testing.TB, n int) eventstream.Event {
	t.Helper()
	e, err := eventstream.NewEvent("counter.added", added{n})
	require.NoError(t, err)
	return e
}

// errTooMuch is a refusal of the rules.
type errTooMuch struct{ sum int }

func (*errTooMuch) Error() string { return "too much" }

// counter adds numbers up to 100; 0 is a command that needs no event, and a negative one needs two.
func counter() decider.Decider[int, int] {
	return decider.Decider[int, int]{
		Decide: func(n, sum int) ([]eventstream.Event, error) {
			switch {
			case sum+n > 100:
				return nil, &errTooMuch{sum}
			case n == 0:
				return nil, nil
			case n < 0:
				first, err := eventstream.NewEvent("counter.added", added{n - 1})
				second, other := eventstream.NewEvent("counter.added", added{1})
				if err == nil {
					err = other
				}
				return []eventstream.Event{first, second}, err
			}
			e, err := eventstream.NewEvent("counter.added", added{n})
			return []eventstream.Event{e}, err
		},
		Evolve: func(sum int, e eventstream.Event) (int, error) {
			a, err := eventstream.DecodePayload[added](e)
			return sum + a.N, err
		},
	}
}
