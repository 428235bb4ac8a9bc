package eventstream

import (
	"encoding/json"
	"time"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/groupcommit"
)

// appendItem is the unit that one call appends: one request or several, all or none.
type appendItem struct {
	params db.EventAppendBatchParams
	size   groupcommit.Size
	// rows are what became of the requests.
	rows []db.EventAppendBatchRow
}

func newAppendItem(p db.EventAppendBatchParams) *appendItem {
	item := &appendItem{params: p, size: groupcommit.Size{Count: len(p.Types)}}
	for _, payload := range p.Payloads {
		item.size.Bytes += len(payload)
	}
	for _, data := range p.Data {
		item.size.Bytes += len(data)
	}
	for _, metadata := range p.Metadata {
		item.size.Bytes += len(metadata)
	}
	return item
}

// Keys are the streams of the item.
func (i *appendItem) Keys() []string { return i.params.StreamIds }

// Size is how many events the item has and how large they are.
func (i *appendItem) Size() groupcommit.Size {
	size := i.size
	if len(i.params.StreamIds) > 1 {
		// TODO(p_units): goes when append_batch tells units apart. Until then several requests are too large for company.
		size.Count = MaxEventsPerCall + 1
	}
	return size
}

// Detach copies what the caller could change: after the end of its context, the caller goes on while the item may still be read.
func (i *appendItem) Detach() {
	copies := make(copiedBytes, 0, i.size.Bytes)
	for n, payload := range i.params.Payloads {
		i.params.Payloads[n] = copies.of(payload)
	}
	for n, data := range i.params.Data {
		i.params.Data[n] = copies.of(data)
	}
	for n, metadata := range i.params.Metadata {
		i.params.Metadata[n] = copies.of(metadata)
	}
}

// appendUnits are the arguments of one statement for several units, each all or none, on its own.
type appendUnits struct {
	db.EventAppendBatchParams
	// count is how many units there are; units is the number of each request's, ascending from 1; nil if each is a unit of its own.
	count int
	units []int32
}

// layOut lays out items as one statement.
func layOut(items []*appendItem) appendUnits {
	if len(items) == 1 {
		return appendUnits{EventAppendBatchParams: items[0].params, count: 1, units: unitNumbers(items)}
	}
	requests, events := 0, 0
	for _, item := range items {
		requests += len(item.params.StreamIds)
		events += len(item.params.Types)
	}
	m := merger{db.EventAppendBatchParams{
		StreamIds:   make([]string, 0, requests),
		Expected:    make([]int64, 0, requests),
		EventCounts: make([]int32, 0, requests),
		EventIds:    make([]string, 0, events),
		Types:       make([]string, 0, events),
		Payloads:    make([]json.RawMessage, 0, events),
		OccurredAt:  make([]time.Time, 0, events),
	}}
	for _, item := range items {
		m.add(&item.params)
	}
	return appendUnits{EventAppendBatchParams: m.EventAppendBatchParams, count: len(items), units: unitNumbers(items)}
}

// unitNumbers says which item each request is of.
func unitNumbers(items []*appendItem) []int32 {
	var numbers []int32
	several := false
	for i, item := range items {
		several = several || len(item.params.StreamIds) > 1
		for range item.params.StreamIds {
			numbers = append(numbers, int32(i+1))
		}
	}
	if !several {
		return nil
	}
	return numbers
}

// merger joins the arguments of several calls.
type merger struct{ db.EventAppendBatchParams }

func (m *merger) add(p *db.EventAppendBatchParams) {
	m.TenantIds = join(m.TenantIds, p.TenantIds, len(m.StreamIds), len(p.StreamIds), "")
	m.PartitionIds = join(m.PartitionIds, p.PartitionIds, len(m.StreamIds), len(p.StreamIds), -1)
	m.Data = join(m.Data, p.Data, len(m.Types), len(p.Types), nil)
	m.Metadata = join(m.Metadata, p.Metadata, len(m.Types), len(p.Types), nil)
	m.StreamIds = append(m.StreamIds, p.StreamIds...)
	m.Expected = append(m.Expected, p.Expected...)
	m.EventCounts = append(m.EventCounts, p.EventCounts...)
	m.EventIds = append(m.EventIds, p.EventIds...)
	m.Types = append(m.Types, p.Types...)
	m.Payloads = append(m.Payloads, p.Payloads...)
	m.OccurredAt = append(m.OccurredAt, p.OccurredAt...)
}

// join appends a column that is nil where no call has it: then it stands for as many missing values as there are rows.
func join[T any](column, more []T, have, adds int, missing T) []T {
	if column == nil && more == nil {
		return nil
	}
	for len(column) < have {
		column = append(column, missing)
	}
	if more == nil {
		for range adds {
			column = append(column, missing)
		}
		return column
	}
	return append(column, more...)
}
