package eventstream

import (
	"encoding/json"
	"strconv"
)

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
