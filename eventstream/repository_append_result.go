package eventstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/db"
)

// appendOutcome is the result of a request, or why it was refused.
func appendOutcome(request AppendRequest, row db.AppendBatchRow, bound bool) (AppendResult, error) {
	if err := refusal(request, row, bound); err != nil {
		return AppendResult{}, err
	}
	if row.Outcome != "appended" && row.Outcome != "duplicate" {
		return AppendResult{}, fmt.Errorf("append to stream %s: the database answers %s: it is newer than this program",
			quote(string(request.StreamID)), quote(row.Outcome))
	}
	return appendResult(row), nil
}

// appendFailed says of an append that its context ended, where that is why it failed.
func appendFailed(ctx context.Context, request AppendRequest, err error) error {
	var canceled *AppendCanceledError
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) && !errors.As(err, &canceled) {
		return &AppendCanceledError{StreamID: request.StreamID, Sent: !pgconn.SafeToRetry(err), Err: err}
	}
	return err
}

func appendResult(row db.AppendBatchRow) AppendResult {
	return AppendResult{
		FirstVersion:   row.FirstVersion,
		LastVersion:    row.LastVersion,
		LastPosition:   row.LastPosition,
		CurrentVersion: row.CurrentVersion,
		Duplicate:      row.Outcome == "duplicate",
	}
}

// refusal turns the outcome of a request into its error. An empty outcome is a request that another one took down with it. Where the append
// was bound to a tenant, the row names that one, whosever the stream is.
func refusal(request AppendRequest, row db.AppendBatchRow, bound bool) error {
	id := request.StreamID
	switch row.Outcome {
	case "version_conflict":
		return &VersionConflictError{StreamID: id, Expected: request.Expected.wire(), Actual: row.CurrentVersion}
	case "stream_exists":
		return &StreamExistsError{StreamID: id, Actual: row.CurrentVersion}
	case "stream_missing":
		return &StreamMissingError{StreamID: id}
	case "tenant_mismatch":
		if bound {
			return &TenantMismatchError{StreamID: id, EventTenant: TenantID(row.TenantID)}
		}
		return &TenantMismatchError{StreamID: id, StreamTenant: TenantID(row.TenantID), EventTenant: request.Events[0].TenantID}
	case "gap":
		return &GapError{StreamID: id, FirstMissing: row.Watermark + 1, CurrentVersion: row.CurrentVersion}
	case "closed":
		return &StreamClosedError{StreamID: id, Version: row.CurrentVersion}
	}
	return nil
}

const (
	// maxNewer is how many events a refusal brings at most; the database knows no more either.
	maxNewer = 1000
	// newerBytes bounds what all refusals of one statement bring, and leastNewerBytes what each of many may have of it.
	newerBytes      = 1 << 20
	leastNewerBytes = 4 << 10
)

func checkNewer(newer int) error {
	if newer < 0 || newer > maxNewer {
		return invalidValue("AppendRequest.Newer", strconv.Itoa(newer), "from 0 to 1000")
	}
	return nil
}

// wantNewer is how many requests of items want to know what they missed, if they are refused.
func wantNewer(items []*appendItem) (requests int64) {
	for _, item := range items {
		for n := range item.requests {
			if item.requests[n].newer > 0 {
				requests++
			}
		}
	}
	return requests
}

// sendNewer is send for items of which some requests want to know what they missed.
func (r *Repository) sendNewer(
	ctx context.Context, h Handle, items []*appendItem, wait time.Duration, wanting int64,
) ([]db.AppendBatchRow, error) {
	if len(items) == 1 && items[0].size.Count == 1 && wait == 0 {
		request := &items[0].requests[0]
		p := oneEvent(request)
		rows, err := r.queries.AppendEventNewer(ctx, h, db.AppendEventNewerParams{
			StreamID: p.StreamID, Expected: p.Expected, EventID: p.EventID, Type: p.Type, Payload: p.Payload, Data: p.Data,
			Metadata: p.Metadata, OccurredAt: p.OccurredAt, TenantID: p.TenantID, PartitionID: p.PartitionID,
			Newer: request.newer, NewerBytes: bytesEach(wanting),
		})
		if err != nil {
			return nil, err
		}
		batch := make([]db.AppendBatchNewerRow, len(rows))
		for i := range rows {
			batch[i] = db.AppendBatchNewerRow(rows[i])
		}
		return takeNewer(items, batch), nil
	}
	p := layOut(items)
	if wait > 0 {
		p.LockTimeout = lockTimeout(wait)
	}
	rows, err := r.queries.AppendBatchNewer(ctx, h, newerParams(p, items, wanting))
	if err != nil {
		return nil, err
	}
	return takeNewer(items, rows), nil
}

// bytesEach is what each of so many refusals may bring.
func bytesEach(wanting int64) int64 { return max(newerBytes/wanting, leastNewerBytes) }

// newerParams are the arguments of a statement, and what its refusals may bring.
func newerParams(p db.AppendBatchParams, items []*appendItem, wanting int64) db.AppendBatchNewerParams {
	return db.AppendBatchNewerParams{
		LockTimeout: p.LockTimeout, StreamIds: p.StreamIds, Expected: p.Expected, EventCounts: p.EventCounts, EventIds: p.EventIds,
		Types: p.Types, Payloads: p.Payloads, Data: p.Data, Metadata: p.Metadata, OccurredAt: p.OccurredAt, TenantIds: p.TenantIds,
		PartitionIds: p.PartitionIds, Atomic: p.Atomic, Units: p.Units, Newer: newerOf(items, len(p.StreamIds)), NewerBytes: bytesEach(wanting),
	}
}

// newerOf is how many events each request wants to know of.
func newerOf(items []*appendItem, requests int) []int32 {
	newer := make([]int32, 0, requests)
	for _, item := range items {
		for n := range item.requests {
			newer = append(newer, item.requests[n].newer)
		}
	}
	return newer
}

// takeNewer gives each request what it missed, and returns a row a request.
func takeNewer(items []*appendItem, rows []db.AppendBatchNewerRow) []db.AppendBatchRow {
	var requests []*preparedRequest
	for _, item := range items {
		for n := range item.requests {
			item.requests[n].missed = nil // of a statement before this one
			requests = append(requests, &item.requests[n])
		}
	}
	plain := make([]db.AppendBatchRow, 0, len(requests))
	for i := range rows {
		row := &rows[i]
		if i == 0 || row.Request != rows[i-1].Request {
			plain = append(plain, db.AppendBatchRow{
				Request: row.Request, Outcome: row.Outcome, FirstVersion: row.FirstVersion, LastVersion: row.LastVersion,
				LastPosition: row.LastPosition, CurrentVersion: row.CurrentVersion, Watermark: row.Watermark, TenantID: row.TenantID,
			})
		}
		if row.NewerVersion > 0 {
			request := requests[row.Request-1]
			request.missed = append(request.missed, missedEvent(row))
		}
	}
	return plain
}

func missedEvent(row *db.AppendBatchNewerRow) Event {
	return eventFromRow(&db.Event{
		Position: row.NewerPosition, Version: row.NewerVersion, EventID: row.NewerEventID, OccurredAt: row.NewerOccurredAt,
		RecordedAt: row.NewerRecordedAt, PartitionID: row.NewerPartitionID, StreamID: row.NewerStreamID, TenantID: row.NewerTenantID,
		Type: row.NewerType, Payload: row.NewerPayload, Data: row.NewerData, Metadata: row.NewerMetadata,
	})
}

// tellMissed adds to the refusals of a call what each request missed.
func (i *appendItem) tellMissed(refused []RequestError) {
	for n := range i.requests {
		request := &i.requests[n]
		if request.missed == nil {
			continue
		}
		for _, r := range refused {
			var conflict *VersionConflictError
			if r.Index == request.at && errors.As(r.Err, &conflict) {
				conflict.Newer = request.missed
			}
		}
	}
}
