package eventstream

import (
	"encoding/json"
	"time"

	"github.com/gaplesspg/gapless/db"
)

// layOut lays out items as the arguments of one statement: an array for each column. Columns that nothing uses stay nil and are not sent.
// Each item is applied all or none, on its own.
func layOut(items []*appendItem) db.AppendBatchParams {
	requests, events := 0, 0
	for _, item := range items {
		requests += len(item.requests)
		events += item.size.Count
	}
	l := layout{
		columns: newEventColumns(events),
		p: db.AppendBatchParams{
			StreamIds:   make([]string, 0, requests),
			Expected:    make([]int64, 0, requests),
			EventCounts: make([]int32, 0, requests),
			Atomic:      len(items) == 1,
		},
		requests: requests,
	}
	if requests > len(items) && len(items) > 1 {
		l.p.Units = make([]int32, 0, requests)
	}
	for unit, item := range items {
		for n := range item.requests {
			l.add(&item.requests[n], int32(unit+1))
		}
	}
	l.p.EventIds, l.p.Types, l.p.Payloads = l.columns.ids, l.columns.types, l.columns.payloads
	l.p.Data, l.p.Metadata, l.p.OccurredAt = l.columns.data, l.columns.metadata, l.columns.occurredAt
	return l.p
}

// layout is a statement's arguments while they are laid out.
type layout struct {
	p        db.AppendBatchParams
	columns  *eventColumns
	requests int
}

func (l *layout) add(r *preparedRequest, unit int32) {
	at := len(l.p.StreamIds)
	l.p.StreamIds = append(l.p.StreamIds, r.stream)
	l.p.Expected = append(l.p.Expected, r.expected)
	l.p.EventCounts = append(l.p.EventCounts, int32(len(r.events)))
	if l.p.Units != nil {
		l.p.Units = append(l.p.Units, unit)
	}
	if r.tenant != "" {
		if l.p.TenantIds == nil {
			l.p.TenantIds = make([]string, l.requests)
		}
		l.p.TenantIds[at] = r.tenant
	}
	if r.partition >= 0 {
		if l.p.PartitionIds == nil {
			l.p.PartitionIds = make([]int32, l.requests)
			for i := range l.p.PartitionIds {
				l.p.PartitionIds[i] = -1
			}
		}
		l.p.PartitionIds[at] = r.partition
	}
	for i := range r.events {
		l.columns.add(&r.events[i])
	}
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
	if r.partition >= 0 {
		p.PartitionID = &r.partition
	}
	return p
}

// jsonNull and noMetadata are what the database takes for a payload and for metadata that are missing. Among others they are sent, and not
// left NULL: as text, NULL in an array is a word, which a session with array_nulls off would not understand.
var jsonNull, noMetadata = json.RawMessage("null"), json.RawMessage("{}")

func orElse(value, other json.RawMessage) json.RawMessage {
	if value == nil {
		return other
	}
	return value
}

// eventColumns are events by column.
type eventColumns struct {
	ids        []string
	types      []string
	payloads   []json.RawMessage
	data       [][]byte
	metadata   []json.RawMessage
	occurredAt []time.Time
	size       int
}

func newEventColumns(size int) *eventColumns {
	return &eventColumns{
		ids:        make([]string, 0, size),
		types:      make([]string, 0, size),
		payloads:   make([]json.RawMessage, 0, size),
		occurredAt: make([]time.Time, 0, size),
		size:       size,
	}
}

func (c *eventColumns) add(e *Event) {
	at := len(c.ids)
	c.ids = append(c.ids, e.ID.String())
	c.types = append(c.types, string(e.Type))
	c.payloads = append(c.payloads, orElse(e.Payload, jsonNull))
	c.occurredAt = append(c.occurredAt, e.OccurredAt)
	if e.Data != nil {
		if c.data == nil {
			c.data = make([][]byte, c.size)
		}
		c.data[at] = e.Data
	}
	if e.Metadata != nil {
		if c.metadata == nil {
			c.metadata = make([]json.RawMessage, c.size)
			for i := range c.metadata {
				c.metadata[i] = noMetadata
			}
		}
		c.metadata[at] = e.Metadata
	}
}
