package eventstreamtest

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// checkRequests says what is wrong with a call, whatever is stored.
func checkRequests(requests []eventstream.AppendRequest) error {
	count := 0
	for _, request := range requests {
		count += len(request.Events)
	}
	if count < 1 || count > eventstream.MaxEventsPerCall {
		return invalid.Value("number of events", strconv.Itoa(count), "from 1 to 100000 in one call: split the call")
	}
	for _, request := range requests {
		if err := checkRequest(request); err != nil {
			return err
		}
	}
	return checkRepeats(requests)
}

// checkRepeats refuses a call that holds one event twice.
func checkRepeats(requests []eventstream.AppendRequest) error {
	seen := map[uuid.UUID]eventstream.StreamID{}
	for _, request := range requests {
		for _, e := range request.Events {
			if first, again := seen[e.ID]; again {
				return &eventstream.EventIDConflictError{
					EventID: e.ID, StreamID: request.StreamID, Problem: "is given twice in one call, first for stream " + strconv.Quote(string(first)),
				}
			}
			seen[e.ID] = request.StreamID
		}
	}
	return nil
}

func checkRequest(request eventstream.AppendRequest) error {
	if _, err := versionOf(request.Expected); err != nil {
		return err
	}
	if err := request.StreamID.Validate(); err != nil {
		return err
	}
	if len(request.Events) == 0 {
		return invalid.Value("number of events", "0", "at least 1 for stream "+strconv.Quote(string(request.StreamID)))
	}
	if err := checkEvents(request.StreamID, request.Events); err != nil {
		return err
	}
	if request.Partition == nil {
		return nil
	}
	if err := request.Partition.Validate(); err != nil {
		return err
	}
	_, err := eventstream.NewPartitionKey(request.Partition.ID, eventstream.DefaultPartitionCount)
	return err
}

func checkEvents(id eventstream.StreamID, events []eventstream.Event) error {
	var tenant eventstream.TenantID
	for _, e := range events {
		if err := e.Validate(); err != nil {
			return err
		}
		if e.Type == eventstream.ClosedType {
			return invalid.Value("event_type", string(eventstream.ClosedType), "left to CloseStream: it closes the stream")
		}
		if e.StreamID != "" && e.StreamID != id {
			return &eventstream.StreamMismatchError{StreamID: id, EventStreamID: e.StreamID}
		}
		if e.TenantID != "" && tenant != "" && e.TenantID != tenant {
			return &eventstream.TenantMismatchError{StreamID: id, StreamTenant: tenant, EventTenant: e.TenantID}
		}
		if e.TenantID != "" {
			tenant = e.TenantID
		}
	}
	return nil
}

// versionOf is the number that is expected exactly, or -1. Expected is closed to other packages, but says what it is.
func versionOf(expected eventstream.Expected) (int64, error) {
	switch expected {
	case nil:
		return 0, invalid.Value("expected version", "nil", "Any, Exists, Empty or Exact(n)")
	case eventstream.Any, eventstream.Exists, eventstream.Empty:
		return -1, nil
	}
	number, exact := strings.CutPrefix(strings.TrimSuffix(expected.String(), ")"), "exact(")
	version, err := strconv.ParseInt(number, 10, 64)
	if !exact || err != nil {
		return 0, invalid.Value("expected version", expected.String(), "Any, Exists, Empty or Exact(n)")
	}
	if version < 0 {
		return 0, invalid.Value("expected version", number, "0 or more")
	}
	return version, nil
}
