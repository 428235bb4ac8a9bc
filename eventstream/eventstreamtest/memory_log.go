package eventstreamtest

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// ReadLog is Repository.ReadLog.
func (m *Memory) ReadLog(ctx context.Context, opts eventstream.LogOptions) iter.Seq2[eventstream.LogEvent, error] {
	return func(yield func(eventstream.LogEvent, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(eventstream.LogEvent{}, err)
			return
		}
		m.mu.RLock()
		log := m.log // Events are added behind it, and those in it never change.
		m.mu.RUnlock()
		selected, err := m.selectLog(log, opts)
		if err != nil {
			yield(eventstream.LogEvent{}, err)
			return
		}
		left := opts.Limit
		for e := range selected {
			if err := ctx.Err(); err != nil {
				yield(eventstream.LogEvent{}, err)
				return
			}
			event := eventstream.LogEvent{Event: copyOf(e), Sequence: e.Position, PartitionSequence: e.partitionSequence}
			if !yield(event, nil) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// selectLog gives the events of a log that options select, in order.
func (m *Memory) selectLog(log []*stored, opts eventstream.LogOptions) (iter.Seq[*stored], error) {
	if err := checkLogOptions(opts); err != nil {
		return nil, err
	}
	start := logStart{}
	if opts.From != nil {
		if err := start.read(log, opts); err != nil {
			return nil, err
		}
	}
	if opts.Backwards && opts.From == nil {
		start.position = int64(len(log))
	}
	return func(yield func(*stored) bool) {
		if opts.Backwards {
			for _, e := range slices.Backward(log[:min(start.position, int64(len(log)))]) {
				if selects(opts.Filter, e) && !yield(e) {
					return
				}
			}
			return
		}
		for _, e := range log[max(start.position-1, 0):] {
			if selects(opts.Filter, e) && e.partitionSequence >= start.partitions[e.PartitionID] && !yield(e) {
				return
			}
		}
	}, nil
}

func selects(f eventstream.LogFilter, e *stored) bool {
	return (len(f.Partitions) == 0 || slices.Contains(f.Partitions, e.PartitionID)) &&
		(len(f.Types) == 0 || slices.Contains(f.Types, e.Type)) &&
		(f.Category == "" || f.Category == e.StreamID.Category()) && (f.Tenant == "" || f.Tenant == e.TenantID)
}

// logStart is where reading begins: with the event at a position, and in some partitions with that of a number.
type logStart struct {
	position   int64
	partitions map[int]int64
}

// startWords is a Start as it says it of itself.
type startWords struct {
	From     string     `json:"from"`
	Position int64      `json:"position"`
	Sequence int64      `json:"sequence"`
	Time     *time.Time `json:"time"`
	After    *struct {
		Position int64     `json:"position"`
		EventID  uuid.UUID `json:"event_id"`
	} `json:"after"`
	PartitionSequences map[string]int64 `json:"partition_sequences"`
}

func (s *logStart) read(log []*stored, opts eventstream.LogOptions) error {
	var words startWords
	if err := json.Unmarshal([]byte(opts.From.String()), &words); err != nil {
		return fmt.Errorf("start %s: %w", opts.From, err)
	}
	last := int64(len(log))
	switch {
	case words.PartitionSequences != nil:
		return s.readPartitions(log, words.PartitionSequences, opts.Backwards)
	case words.After != nil:
		return s.readAfter(log, words.After.Position, words.After.EventID, opts.Backwards)
	case words.Time != nil:
		s.position = 1
		for s.position <= last && log[s.position-1].RecordedAt.Before(*words.Time) {
			s.position++
		}
		if words.Time.After(time.Now().Add(5 * time.Minute)) {
			return invalid.Value("start time", words.Time.String(), "not in the future: for what is to come, use the start latest")
		}
		return nil
	case words.From == "latest":
		s.position = last
		if !opts.Backwards {
			s.position++
		}
		return nil
	case words.From == "beginning":
		s.position = 1
		return nil
	}
	return s.readNumber(words, last)
}

// readNumber takes the number after the last one too: that event is still to come.
func (s *logStart) readNumber(words startWords, last int64) error {
	field, value := "position", words.Position
	if words.Sequence != 0 {
		field, value = "sequence", words.Sequence
	}
	switch {
	case value < 1:
		return invalid.Value("start "+field, strconv.FormatInt(value, 10), "1 or more")
	case value > last+1:
		return &eventstream.BeyondLogError{Field: field, Value: value, Last: last}
	}
	s.position = value
	return nil
}

func (s *logStart) readAfter(log []*stored, position int64, id uuid.UUID, backwards bool) error {
	last := int64(len(log))
	switch {
	case position < 1:
		return invalid.Value("start after position", strconv.FormatInt(position, 10), "that of an event that was read: 1 or more")
	case position > last || log[position-1].ID != id:
		return &eventstream.BeyondLogError{Field: "event", Value: position, Last: last}
	case backwards:
		return invalid.Value("LogOptions.From", "After", "another start, to read backwards")
	}
	s.position = position + 1
	return nil
}

func (s *logStart) readPartitions(log []*stored, sequences map[string]int64, backwards bool) error {
	s.partitions = map[int]int64{}
	counts := map[int]int64{}
	for _, e := range log {
		counts[e.PartitionID]++
	}
	for name, n := range sequences {
		partition, err := strconv.Atoi(name)
		switch {
		case err != nil || partition < 0 || partition >= eventstream.DefaultPartitionCount:
			return invalid.Value("start partition", name, fmt.Sprintf("from 0 to %d", eventstream.DefaultPartitionCount-1))
		case n < 1:
			return invalid.Value("start sequence of partition "+name, strconv.FormatInt(n, 10), "1 or more")
		case n > counts[partition]+1:
			return &eventstream.BeyondLogError{Field: "sequence of partition " + name, Value: n, Last: counts[partition]}
		}
		s.partitions[partition] = n
	}
	if backwards {
		return invalid.Value("LogOptions.From", "FromPartitionSequences", "another start, to read backwards")
	}
	return nil
}

func checkLogOptions(opts eventstream.LogOptions) error {
	f := opts.Filter
	for _, partition := range f.Partitions {
		if partition < 0 || partition >= eventstream.DefaultPartitionCount {
			return invalid.Value("LogFilter.Partitions", strconv.Itoa(partition), fmt.Sprintf("from 0 to %d", eventstream.DefaultPartitionCount-1))
		}
	}
	for _, name := range f.Types {
		if err := name.Validate(); err != nil {
			return err
		}
	}
	if err := checkCategory("LogFilter.Category", f.Category); err != nil {
		return err
	}
	if f.Tenant != "" {
		if err := f.Tenant.Validate(); err != nil {
			return err
		}
	}
	if opts.Limit < 0 {
		return invalid.Value("LogOptions.Limit", strconv.Itoa(opts.Limit), "0 or more")
	}
	return nil
}
