package eventstream

import (
	"bytes"
	"fmt"

	"github.com/google/uuid"
)

// checkRepeats refuses requests that hold one event twice: the database would say no more than that the id is taken. Ids that rise, as those of
// NewEvent do, cost one comparison each; others a map of all.
func checkRepeats(requests []AppendRequest, count int) error {
	if idsRise(requests) {
		return nil
	}
	seen := make(map[uuid.UUID]StreamID, count)
	for _, request := range requests {
		for i := range request.Events {
			id := request.Events[i].ID
			if stream, again := seen[id]; again {
				return &EventIDConflictError{
					EventID: id, StreamID: request.StreamID, Problem: fmt.Sprintf("is given twice in one call, first for stream %s", quote(string(stream))),
				}
			}
			seen[id] = request.StreamID
		}
	}
	return nil
}

func idsRise(requests []AppendRequest) bool {
	var last uuid.UUID
	for _, request := range requests {
		for i := range request.Events {
			id := request.Events[i].ID
			if bytes.Compare(id[:], last[:]) <= 0 {
				return false
			}
			last = id
		}
	}
	return true
}
