// Package apart knows the partitions that are further in the log than the reader of them all.
package apart

import (
	"encoding/json"
	"strconv"
)

// Positions are those up to which partitions are done, for those that are further than the rest.
type Positions map[int]int64

// Parse reads positions as the database gives them: an object with the partitions as keys. It is nil for none.
func Parse(text json.RawMessage) (Positions, error) {
	byName := map[string]int64{}
	if err := json.Unmarshal(text, &byName); err != nil || len(byName) == 0 {
		return nil, err
	}
	positions := make(Positions, len(byName))
	for name, position := range byName {
		partition, err := strconv.Atoi(name)
		if err != nil {
			return nil, err
		}
		positions[partition] = position
	}
	return positions, nil
}

// Passed says whether a partition is done up to a position.
func (p Positions) Passed(partition int, position int64) bool { return position <= p[partition] }
