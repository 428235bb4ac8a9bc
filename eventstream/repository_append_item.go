package eventstream

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/appendargs"
	"github.com/gaplesspg/gapless/internal/groupcommit"
)

// appendItem is what one call appends: one request or several, all or none. They are in order of their streams, which costs the database
// less than another order.
type appendItem struct {
	// stream is the first one that the caller named.
	stream   StreamID
	requests []preparedRequest
	size     groupcommit.Size
	// bound says that it is of a repository for a tenant, which each request names.
	bound bool
	// rows are what became of the requests.
	rows []db.AppendBatchRow
	// trace is nil if nobody wants to know of the append.
	trace *appendTrace
}

// preparedRequest is a request that was checked, with what the database is told of it.
type preparedRequest struct {
	stream   string
	expected int64
	// tenant is "" and partition appendargs.NoPartition where none is given.
	tenant    string
	partition int32
	events    []Event
	// newer is how many events it wants to know of that it missed, if it is refused for them; missed is these.
	newer  int32
	missed []Event
	// at is the request's place in the call.
	at int
}

// newAppendItem checks requests, for a better message than the database's.
func newAppendItem(requests []AppendRequest, trace *appendTrace) (*appendItem, error) {
	item := &appendItem{requests: make([]preparedRequest, len(requests)), trace: trace}
	for _, request := range requests {
		item.size.Count += len(request.Events)
	}
	if err := checkEventCount(item.size.Count); err != nil {
		return nil, err
	}
	for i, request := range requests {
		prepared, err := prepare(request)
		if err != nil {
			return nil, err
		}
		prepared.at = i
		item.requests[i] = prepared
		for n := range request.Events {
			e := &request.Events[n]
			item.size.Bytes += len(e.Payload) + len(e.Data) + len(e.Metadata)
		}
	}
	item.stream = requests[0].StreamID
	slices.SortStableFunc(item.requests, func(a, b preparedRequest) int { return strings.Compare(a.stream, b.stream) })
	return item, checkRepeats(requests, item.size.Count)
}

// newAppendItem is what the repository appends: for its tenant, if it is for one.
func (r *Repository) newAppendItem(requests []AppendRequest, trace *appendTrace) (*appendItem, error) {
	item, err := newAppendItem(requests, trace)
	if err == nil {
		err = r.bindItem(item)
	}
	return item, err
}

// asCalled puts rows, one for each of the item's requests, into the order in which the caller gave these.
func (i *appendItem) asCalled(rows []db.AppendBatchRow) []db.AppendBatchRow {
	if len(rows) < 2 {
		return rows
	}
	called := make([]db.AppendBatchRow, len(rows))
	for n, row := range rows {
		called[i.requests[n].at] = row
	}
	return called
}

// inOrderOfStreams sorts items of one request each; those of several stay together, and where they are.
func inOrderOfStreams(items []*appendItem) []*appendItem {
	if slices.ContainsFunc(items, func(i *appendItem) bool { return len(i.requests) > 1 }) {
		return items
	}
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b *appendItem) int { return strings.Compare(a.requests[0].stream, b.requests[0].stream) })
	return sorted
}

func prepare(request AppendRequest) (preparedRequest, error) {
	p := preparedRequest{stream: string(request.StreamID), partition: appendargs.NoPartition, events: request.Events}
	var err error
	if p.expected, err = expectedWire(request.Expected); err != nil {
		return p, err
	}
	if err := request.StreamID.Validate(); err != nil {
		return p, err
	}
	if err := checkNewer(request.Newer); err != nil {
		return p, err
	}
	p.newer = int32(request.Newer)
	if len(request.Events) == 0 {
		return p, invalidValue("number of events", "0", "at least 1 for stream "+quote(p.stream))
	}
	tenant, err := checkEvents(request.StreamID, request.Events)
	if err != nil {
		return p, err
	}
	if err := checkNotClosing(request.Events); err != nil {
		return p, err
	}
	p.tenant = string(tenant)
	if request.Partition != nil {
		if err := request.Partition.Validate(); err != nil {
			return p, err
		}
		p.partition = int32(request.Partition.ID)
	}
	return p, nil
}

func checkEventCount(events int) error {
	if events < 1 || events > MaxEventsPerCall {
		return invalidValue("number of events", strconv.Itoa(events), "from 1 to 100000 in one call: split the call")
	}
	return nil
}

// checkEvents checks events of one stream, and returns the tenant that they name, or "" if they name none.
func checkEvents(id StreamID, events []Event) (TenantID, error) {
	var tenant TenantID
	for i := range events {
		e := &events[i]
		if err := e.Validate(); err != nil {
			return "", err
		}
		if e.StreamID != "" && e.StreamID != id {
			return "", &StreamMismatchError{StreamID: id, EventStreamID: e.StreamID}
		}
		if e.TenantID != "" {
			if tenant != "" && tenant != e.TenantID {
				return "", &TenantMismatchError{StreamID: id, StreamTenant: tenant, EventTenant: e.TenantID}
			}
			tenant = e.TenantID
		}
	}
	return tenant, nil
}

// Keys are the streams of the item.
func (i *appendItem) Keys() []string {
	keys := make([]string, len(i.requests))
	for n := range i.requests {
		keys[n] = i.requests[n].stream
	}
	return keys
}

// Size is how many events the item has and how large they are.
func (i *appendItem) Size() groupcommit.Size { return i.size }

// Detach copies what the caller could change: after the end of its context, the caller goes on while the item may still be read.
func (i *appendItem) Detach() {
	copies := make(copiedBytes, 0, i.size.Bytes)
	for n := range i.requests {
		r := &i.requests[n]
		r.events = slices.Clone(r.events)
		for k := range r.events {
			e := &r.events[k]
			e.Payload, e.Data, e.Metadata = copies.of(e.Payload), copies.of(e.Data), copies.of(e.Metadata)
		}
	}
}

// layOut lays out items as the arguments of one statement. Each item is applied all or none, apart from the others.
func layOut(items []*appendItem) db.AppendBatchParams {
	requests, events := 0, 0
	for _, item := range items {
		requests += len(item.requests)
		events += item.size.Count
	}
	all := appendargs.NewRequests(requests, events, len(items))
	for unit, item := range items {
		for n := range item.requests {
			r := &item.requests[n]
			all.Add(unit+1, r.stream, r.expected, r.tenant, r.partition, len(r.events))
			for i := range r.events {
				r.events[i].addTo(&all.Events)
			}
		}
	}
	return all.Params()
}

// addTo lays out the event among others.
func (e *Event) addTo(events *appendargs.Events) {
	events.Add(e.ID, string(e.Type), e.Payload, e.Data, e.Metadata, e.OccurredAt)
}

// oneEvent are the arguments of the short way, for an item of one request with one event.
func oneEvent(r *preparedRequest) db.AppendEventParams {
	e := &r.events[0]
	p := db.AppendEventParams{
		StreamID: r.stream, Expected: r.expected, EventID: e.ID.String(), Type: string(e.Type),
		Payload: e.Payload, Data: e.Data, Metadata: e.Metadata, OccurredAt: e.OccurredAt,
	}
	if r.tenant != "" {
		p.TenantID = &r.tenant
	}
	if r.partition != appendargs.NoPartition {
		p.PartitionID = &r.partition
	}
	return p
}
