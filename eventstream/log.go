package eventstream

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/apart"
)

// LogEvent is an event as the log gives it.
type LogEvent struct {
	Event
	// Sequence numbers the events of the whole log: 1, 2, 3 ... without a hole. Whoever reads everything can see by it that nothing
	// is missing.
	Sequence int64 `json:"sequence"`
	// PartitionSequence does the same for the events of one partition.
	PartitionSequence int64 `json:"partition_sequence"`
}

// Start says where reading the log starts: FromBeginning, FromLatest, FromPosition, FromSequence, FromTime, FromPartitionSequences or After.
// It is closed: no other package can add a kind.
type Start interface {
	// String returns the start as JSON, as the database keeps it: {"from":"latest"}, {"position":7}.
	String() string

	wire() map[string]any
	validate(partitions int) error
}

// startWord is the type of the starts that carry no number.
type startWord string

const (
	// FromBeginning starts with the first event there is.
	FromBeginning startWord = "beginning"
	// FromLatest starts after the last event that is stable by now.
	FromLatest startWord = "latest"
)

// startSequence is the field of FromSequence.
const startSequence = "sequence"

type startNumber struct {
	field string
	n     int64
}

type startTime time.Time

type startPartitions map[int]int64

// startAfter is an event that was read: its position, and the id that tells whether the log still has it there.
type startAfter struct {
	position int64
	id       uuid.UUID
}

// FromPosition starts with the first event at a position or above it.
func FromPosition(n int64) Start { return startNumber{"position", n} }

// After starts behind an event that was read, as a loop that follows the log does. Positions alone would not do: after a failover to a
// standby that lacks the last events, or a restore, the same positions are given to other events. If the log does not hold the event
// any more, that is a *BeyondLogError with the field "event".
func After(e LogEvent) Start { return startAfter{e.Position, e.ID} }

// FromSequence starts with the event of a sequence number in the whole log.
func FromSequence(n int64) Start { return startNumber{startSequence, n} }

// FromTime starts with the first event that was recorded at a time or later.
func FromTime(t time.Time) Start { return startTime(t) }

// FromPartitionSequences starts each partition with the event of a sequence number in it; partitions not named, with their first.
func FromPartitionSequences(first map[int]int64) Start { return startPartitions(first) }

func (s startWord) wire() map[string]any   { return map[string]any{"from": string(s)} }
func (s startNumber) wire() map[string]any { return map[string]any{s.field: s.n} }
func (s startTime) wire() map[string]any {
	return map[string]any{"time": time.Time(s).UTC().Format(time.RFC3339Nano)}
}

func (s startAfter) wire() map[string]any {
	return map[string]any{"after": map[string]any{"position": s.position, "event_id": s.id.String()}}
}

func (s startPartitions) wire() map[string]any {
	byName := make(map[string]int64, len(s))
	for partition, n := range s {
		byName[strconv.Itoa(partition)] = n
	}
	return map[string]any{"partition_sequences": byName}
}

// A caller can make others out of the constants, as in FromLatest+"x", though not by accident.
func (s startWord) validate(int) error {
	if s != FromBeginning && s != FromLatest {
		return invalidValue("start", string(s), "FromBeginning or FromLatest")
	}
	return nil
}

func (s startNumber) validate(int) error {
	if s.n < 1 {
		return invalidValue("start "+s.field, strconv.FormatInt(s.n, 10), "1 or more")
	}
	return nil
}

func (s startAfter) validate(int) error {
	if s.position < 1 {
		return invalidValue("start after position", strconv.FormatInt(s.position, 10), "that of an event that was read: 1 or more")
	}
	return nil
}

func (s startTime) validate(int) error {
	if !validTime(time.Time(s)) {
		return invalidValue("start time", time.Time(s).String(), "a "+timeRule)
	}
	return nil
}

func (s startPartitions) validate(partitions int) error {
	for partition, n := range s {
		if partition < 0 || partition >= partitions {
			return invalidValue("start partition", strconv.Itoa(partition), "from 0 to "+strconv.Itoa(partitions-1))
		}
		if n < 1 {
			return invalidValue("start sequence of partition "+strconv.Itoa(partition), strconv.FormatInt(n, 10), "1 or more")
		}
	}
	return nil
}

// startJSON is a start as eventstream.subscriptions keeps it.
func startJSON(start Start) json.RawMessage {
	text, err := json.Marshal(start.wire())
	if err != nil {
		panic(err) // of numbers, text and maps of these
	}
	return text
}

// UnmarshalJSON reads a log event as json.Marshal writes it, with the checks of Event. On error the event keeps its value.
func (e *LogEvent) UnmarshalJSON(data []byte) error {
	var decoded LogEvent
	if err := decoded.Event.UnmarshalJSON(data); err != nil {
		return err
	}
	var numbers struct {
		Sequence          int64 `json:"sequence"`
		PartitionSequence int64 `json:"partition_sequence"`
	}
	if err := json.Unmarshal(data, &numbers); err != nil {
		return err
	}
	if numbers.Sequence < 0 {
		return invalidValue("sequence", strconv.FormatInt(numbers.Sequence, 10), "1 or more")
	}
	if numbers.PartitionSequence < 0 {
		return invalidValue("partition_sequence", strconv.FormatInt(numbers.PartitionSequence, 10), "1 or more")
	}
	decoded.Sequence, decoded.PartitionSequence = numbers.Sequence, numbers.PartitionSequence
	*e = decoded
	return nil
}

// String returns the start as the database is told of it: {"from":"latest"}, {"position":7}.
func (s startWord) String() string { return string(startJSON(s)) }

// String returns the start as the database is told of it: {"position":7}.
func (s startNumber) String() string { return string(startJSON(s)) }

// String returns the start as the database is told of it: {"time":"2026-01-01T00:00:00Z"}.
func (s startTime) String() string { return string(startJSON(s)) }

// String returns the start as the database is told of it: {"after":{"event_id":"...","position":7}}.
func (s startAfter) String() string { return string(startJSON(s)) }

// String returns the start as the database is told of it: {"partition_sequences":{"3":7}}.
func (s startPartitions) String() string { return string(startJSON(s)) }

// logStart is the position that a start stands for, and where partitions start that start further on.
type logStart struct {
	position int64
	apart    apart.Positions
}

// resolveStart finds the position of a start.
func (r *Repository) resolveStart(ctx context.Context, h Handle, from Start, stable int64) (logStart, error) {
	row, err := r.queries.LogResolveStart(ctx, h, db.LogResolveStartParams{Start: startJSON(from), Stable: stable})
	if err != nil {
		return logStart{}, mapError(err)
	}
	ahead, err := apart.Parse(row.PartitionPositions)
	return logStart{position: row.Checkpoint + 1, apart: ahead}, err
}

// lastPosition is where reading backwards begins: with the event that a start stands for, which is not always at the first position
// from which it comes next.
func (r *Repository) lastPosition(ctx context.Context, h Handle, from Start, at logStart, stable int64) (int64, error) {
	sequence := int64(0)
	switch s := from.(type) {
	case startPartitions:
		return 0, invalidValue("LogOptions.From", "FromPartitionSequences", "another start, to read backwards")
	case startAfter:
		return 0, invalidValue("LogOptions.From", "After", "another start, to read backwards")
	case startNumber:
		if s.field == startSequence {
			sequence = s.n
		}
	case startWord:
		if s == FromBeginning {
			sequence = 1
		}
	}
	if sequence == 0 {
		return min(at.position, stable), nil
	}
	position, err := r.queries.LogPositionOfSequence(ctx, h, db.LogPositionOfSequenceParams{Sequence: sequence, Stable: stable})
	return position, mapError(err)
}
