package appendargs

import "github.com/gaplesspg/gapless/db"

// NoPartition stands for a request that names no partition.
const NoPartition int32 = -1

// Requests are requests of some units, each of which is applied all or none, apart from the others.
type Requests struct {
	// Events are those of all requests, in their order.
	Events Events

	p        db.AppendBatchParams
	requests int
}

// NewRequests has room for so many requests, with so many events together, of so many units.
func NewRequests(requests, events, units int) Requests {
	r := Requests{
		Events: NewEvents(events),
		p: db.AppendBatchParams{
			StreamIds:   make([]string, 0, requests),
			Expected:    make([]int64, 0, requests),
			EventCounts: make([]int32, 0, requests),
			Atomic:      units == 1,
		},
		requests: requests,
	}
	if requests > units && units > 1 {
		r.p.Units = make([]int32, 0, requests)
	}
	return r
}

// Add adds a request of a unit, from 1: so many events for a stream. Its tenant is "" if it names none.
func (r *Requests) Add(unit int, stream string, expected int64, tenant string, partition int32, events int) {
	at := len(r.p.StreamIds)
	r.p.StreamIds = append(r.p.StreamIds, stream)
	r.p.Expected = append(r.p.Expected, expected)
	r.p.EventCounts = append(r.p.EventCounts, int32(events))
	if r.p.Units != nil {
		r.p.Units = append(r.p.Units, int32(unit))
	}
	if tenant != "" {
		if r.p.TenantIds == nil {
			r.p.TenantIds = make([]string, r.requests)
		}
		r.p.TenantIds[at] = tenant
	}
	if partition != NoPartition {
		if r.p.PartitionIds == nil {
			r.p.PartitionIds = make([]int32, r.requests)
			for i := range r.p.PartitionIds {
				r.p.PartitionIds[i] = NoPartition
			}
		}
		r.p.PartitionIds[at] = partition
	}
}

// Params are the arguments.
func (r *Requests) Params() db.AppendBatchParams {
	p := r.p
	p.EventIds, p.Types, p.Payloads = r.Events.IDs, r.Events.Types, r.Events.Payloads
	p.Data, p.Metadata, p.OccurredAt = r.Events.Data, r.Events.Metadata, r.Events.OccurredAt
	return p
}
