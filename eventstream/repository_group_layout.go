package eventstream

import (
	"encoding/json"
	"time"

	"github.com/gaplesspg/gapless/db"
)

// mergeParams lays out the requests of calls as one statement, each judged on its own.
func mergeParams(calls []*groupCall) db.EventAppendBatchParams {
	events := 0
	for _, call := range calls {
		events += call.events
	}
	m := merger{db.EventAppendBatchParams{
		StreamIds:   make([]string, 0, len(calls)),
		Expected:    make([]int64, 0, len(calls)),
		EventCounts: make([]int32, 0, len(calls)),
		EventIds:    make([]string, 0, events),
		Types:       make([]string, 0, events),
		Payloads:    make([]json.RawMessage, 0, events),
		OccurredAt:  make([]time.Time, 0, events),
	}}
	for _, call := range calls {
		m.add(&call.params)
	}
	return m.EventAppendBatchParams
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
