package eventstream

import (
	"context"
	"slices"

	"github.com/gaplesspg/gapless/db"
)

// areRivals says that of items, of which none is for a tenant's repository or wants to know what it missed, one can be appended at most:
// all are to one stream, as one request each, and if the first one is appended, each other expects another version than it finds.
func areRivals(items []*appendItem) bool {
	first := &items[0].requests[0]
	if len(items) < 2 || items[0].size.Count != 1 || first.expected < 0 {
		return false
	}
	return !slices.ContainsFunc(items, func(item *appendItem) bool {
		r := &item.requests[0]
		return len(item.requests) > 1 || r.stream != first.stream || r.tenant != first.tenant || r.partition != first.partition ||
			r.expected < 0 || r.expected == first.expected+1
	})
}

// sendRivals sends the first of items that are rivals, and of the others only the ids: to a stream that many decide on at once, most of what
// comes is refused. It gives a row for each item, or none if nothing was done, and all of them have to be sent: the first is not
// appended, or one of the others is a repetition, also of the first.
func (r *Repository) sendRivals(ctx context.Context, h Handle, items []*appendItem) ([]db.AppendBatchRow, error) {
	p, rivals := oneEvent(&items[0].requests[0]), eventIDs(items[1:])
	if slices.Contains(rivals, p.EventID) {
		return nil, nil // the same append, sent twice at once
	}
	row, err := r.queries.AppendEventFirst(ctx, h, db.AppendEventFirstParams{
		StreamID: p.StreamID, Expected: p.Expected, EventID: p.EventID, Type: p.Type, Payload: p.Payload, Data: p.Data,
		Metadata: p.Metadata, OccurredAt: p.OccurredAt, TenantID: p.TenantID, PartitionID: p.PartitionID, RivalIds: rivals,
	})
	if err != nil || row.Outcome == "" {
		return nil, err
	}
	rows := make([]db.AppendBatchRow, len(items))
	for i := range rows {
		rows[i] = db.AppendBatchRow{
			Request: int32(i + 1), Outcome: "version_conflict", CurrentVersion: row.CurrentVersion, Watermark: row.Watermark, TenantID: row.TenantID,
		}
	}
	rows[0] = db.AppendBatchRow(row)
	return rows, nil
}

// eventIDs are the ids of all events of items.
func eventIDs(items []*appendItem) []string {
	var ids []string
	for _, item := range items {
		for n := range item.requests {
			for _, event := range item.requests[n].events {
				ids = append(ids, event.ID.String())
			}
		}
	}
	return ids
}
