package eventstream

import (
	"strconv"
	"time"
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

// Start says where reading the log starts.
type Start interface {
	wire() map[string]any
	validate(partitions int) error
}

type startWord string

const (
	startBeginning startWord = "beginning"
	startLatest    startWord = "latest"
	startSequence            = "sequence"
)

type startNumber struct {
	field string
	n     int64
}

type startTime time.Time

type startPartitions map[int]int64

// FromBeginning starts with the first event there is; FromLatest after the last one that is stable by now.
var (
	FromBeginning Start = startBeginning
	FromLatest    Start = startLatest
)

// FromPosition starts with the first event at a position or above it.
func FromPosition(n int64) Start { return startNumber{"position", n} }

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

func (s startPartitions) wire() map[string]any {
	byName := make(map[string]int64, len(s))
	for partition, n := range s {
		byName[strconv.Itoa(partition)] = n
	}
	return map[string]any{"partition_sequences": byName}
}

func (s startWord) validate(int) error { return nil }

func (s startNumber) validate(int) error {
	if s.n < 1 {
		return invalidValue("start "+s.field, strconv.FormatInt(s.n, 10), "1 or more")
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
