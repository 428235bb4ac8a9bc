package eventstreamtest

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// judgement finds out what becomes of the requests of a call, before anything is written.
type judgement struct {
	memory   *Memory
	requests []eventstream.AppendRequest
	results  []eventstream.AppendResult
	refused  []eventstream.RequestError
	// planned is where the streams of the call would stand.
	planned map[eventstream.StreamID]*plan
}

// plan is where a stream would stand after the requests that were judged.
type plan struct {
	// stored is the version without the call, and closed says that nothing may follow it.
	stored    int64
	closed    bool
	version   int64
	tenant    eventstream.TenantID
	partition int
}

func newJudgement(m *Memory, requests []eventstream.AppendRequest) *judgement {
	return &judgement{
		memory: m, requests: requests, results: make([]eventstream.AppendResult, len(requests)), planned: map[eventstream.StreamID]*plan{},
	}
}

// judge returns an error for what the database raises; what it refuses is in refused.
func (j *judgement) judge() error {
	// Places first: a repeated event at another place is a mistake as well.
	for _, request := range j.requests {
		if err := j.plan(request.StreamID).misplaced(request); err != nil {
			return err
		}
	}
	for i, request := range j.requests {
		p := j.plan(request.StreamID)
		again, err := j.repeats(request)
		if err != nil {
			return err
		}
		if err := p.misplaced(request); err != nil {
			return err
		}
		refusal := p.foreign(request)
		if refusal == nil && again != nil {
			again.CurrentVersion = p.version
			j.results[i] = *again
			continue
		}
		if refusal == nil {
			refusal = p.unexpected(request)
		}
		if refusal != nil {
			j.refused = append(j.refused, eventstream.RequestError{Index: i, StreamID: request.StreamID, Err: refusal})
			continue
		}
		j.results[i] = p.take(request)
	}
	return nil
}

// plan is where a stream stands by now.
func (j *judgement) plan(id eventstream.StreamID) *plan {
	if j.planned[id] == nil {
		p := &plan{}
		if s := j.memory.streams[id]; s != nil {
			p.stored, p.tenant, p.partition = int64(len(s.events)), s.tenant, s.partition
			p.version = p.stored
			p.closed = s.closed()
		}
		j.planned[id] = p
	}
	return j.planned[id]
}

// repeats returns the result of an earlier append of the same events, or nil if they are new.
func (j *judgement) repeats(request eventstream.AppendRequest) (*eventstream.AppendResult, error) {
	var first, last *stored
	for i := range request.Events {
		e := &request.Events[i]
		found := j.memory.ids[e.ID]
		if i > 0 && (found == nil) != (first == nil) {
			return nil, conflict(request, e.ID, found, "exists, and others of the append do not")
		}
		if found == nil {
			continue
		}
		switch {
		case found.StreamID != request.StreamID:
			return nil, conflict(request, e.ID, found, "exists already, on another stream")
		case !sameContent(&found.Event, e):
			return nil, conflict(request, e.ID, found, "exists already, with other content")
		case first != nil && found.Version != last.Version+1:
			return nil, conflict(request, e.ID, found, "exists already, in another order")
		case first == nil:
			first = found
		}
		last = found
	}
	if first == nil {
		return nil, nil
	}
	return &eventstream.AppendResult{
		FirstVersion: first.Version, LastVersion: last.Version, LastPosition: last.Position, Duplicate: true,
	}, nil
}

func conflict(request eventstream.AppendRequest, id uuid.UUID, found *stored, problem string) error {
	err := &eventstream.EventIDConflictError{EventID: id, StreamID: request.StreamID, Problem: problem}
	if found != nil {
		err.FoundStreamID, err.FoundVersion = found.StreamID, found.Version
	}
	return err
}

// misplaced says that a request names another partition than its stream's.
func (p *plan) misplaced(request eventstream.AppendRequest) error {
	if request.Partition == nil || p.version == 0 || request.Partition.ID == p.partition {
		return nil
	}
	return &eventstream.PartitionMismatchError{StreamID: request.StreamID, StreamPartition: p.partition, EventPartition: request.Partition.ID}
}

// foreign says that a request is of another tenant than its stream. That is judged before all else, a repetition included.
func (p *plan) foreign(request eventstream.AppendRequest) error {
	if tenant := tenantOf(request); tenant != "" && p.version > 0 && tenant != p.tenant {
		return &eventstream.TenantMismatchError{StreamID: request.StreamID, StreamTenant: p.tenant, EventTenant: request.Events[0].TenantID}
	}
	return nil
}

// unexpected says that a stream does not look as it should. The error has the version that is stored: nothing of the call will be.
func (p *plan) unexpected(request eventstream.AppendRequest) error {
	id := request.StreamID
	version, err := versionOf(request.Expected)
	switch {
	case err != nil:
		return err
	case p.closed:
		return &eventstream.StreamClosedError{StreamID: id, Version: p.stored}
	case request.Expected == eventstream.Empty && p.version > 0:
		return &eventstream.StreamExistsError{StreamID: id, Actual: p.stored}
	case request.Expected == eventstream.Exists && p.version == 0:
		return &eventstream.StreamMissingError{StreamID: id}
	case version >= 0 && version != p.version:
		return &eventstream.VersionConflictError{StreamID: id, Expected: version, Actual: p.stored}
	}
	return nil
}

func tenantOf(request eventstream.AppendRequest) eventstream.TenantID {
	for _, e := range request.Events {
		if e.TenantID != "" {
			return e.TenantID
		}
	}
	return ""
}

// take counts a request in.
func (p *plan) take(request eventstream.AppendRequest) eventstream.AppendResult {
	if p.version == 0 {
		if p.tenant = tenantOf(request); p.tenant == "" {
			p.tenant = eventstream.DefaultTenant
		}
		if request.Partition != nil {
			p.partition = request.Partition.ID
		} else if key, err := eventstream.PartitionOf(request.StreamID, eventstream.DefaultPartitionCount); err == nil {
			p.partition = key.ID
		}
	}
	first := p.version + 1
	p.version += int64(len(request.Events))
	return eventstream.AppendResult{FirstVersion: first, LastVersion: p.version, CurrentVersion: p.version}
}

// write stores what was judged. Positions follow the order of the streams, as the database's do.
func (j *judgement) write(at time.Time) {
	order := make([]int, len(j.requests))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return strings.Compare(string(j.requests[a].StreamID), string(j.requests[b].StreamID))
	})
	for _, i := range order {
		if !j.results[i].Duplicate {
			j.results[i].LastPosition = j.memory.write(j.requests[i], j.planned[j.requests[i].StreamID], at)
		}
	}
}

// write stores the events of a request, and returns the position of the last one.
func (m *Memory) write(request eventstream.AppendRequest, p *plan, at time.Time) int64 {
	s := m.streams[request.StreamID]
	if s == nil {
		s = &stream{id: request.StreamID, tenant: p.tenant, partition: p.partition}
		m.streams[request.StreamID] = s
	}
	for _, e := range request.Events {
		m.partitions[s.partition]++
		kept := &stored{Event: asStored(e), partitionSequence: m.partitions[s.partition]}
		kept.StreamID, kept.TenantID, kept.PartitionID = s.id, s.tenant, s.partition
		kept.Version, kept.Position, kept.RecordedAt = int64(len(s.events))+1, int64(len(m.log))+1, at
		s.events, m.log = append(s.events, kept), append(m.log, kept)
		m.ids[kept.ID] = kept
	}
	return int64(len(m.log))
}
