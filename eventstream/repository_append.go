package eventstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/db"
)

// MaxEventsPerCall bounds the events of one Append, AppendMany or Ingest: the call is one statement, and holds its streams
// until it ends.
const MaxEventsPerCall = 100_000

// AppendResult says where an append ended up.
type AppendResult struct {
	// FirstVersion and LastVersion are the versions of the first and the last event of the append.
	FirstVersion, LastVersion int64
	// LastPosition is the position of the last event in the log of all streams.
	LastPosition int64
	// CurrentVersion is the stream's version: LastVersion, or above it if Duplicate and the stream has moved on.
	CurrentVersion int64
	// Duplicate says that these very events were appended before, and nothing was written now. The other fields are those of
	// the first time.
	Duplicate bool
}

// AppendRequest is one stream's part of an AppendMany.
type AppendRequest struct {
	// StreamID is the stream to append to.
	StreamID StreamID
	// Expected is what the stream must look like. Required.
	Expected Expected
	// Events are appended in this order; at least one.
	Events []Event
	// Partition places a new stream, to keep related streams together; a stream that exists must be in it. Default: nil, which
	// is PartitionOf the id.
	Partition *PartitionKey
}

// Append appends events to a stream, all or nothing, in one round trip. Events whose ids were appended before, to this stream
// and in this order, are a Duplicate and change nothing, whatever is expected: trying again after a lost connection is safe.
//
// A refusal is a *VersionConflictError, *StreamExistsError, *StreamMissingError, *GapError, *TenantMismatchError,
// *EventIDConflictError or *InvalidValueError, and leaves nothing behind, not even a used up position.
func (r *Repository) Append(ctx context.Context, id StreamID, expected Expected, events ...Event) (AppendResult, error) {
	return r.append(ctx, r.handle, AppendRequest{StreamID: id, Expected: expected, Events: events})
}

// AppendTx is Append in a transaction of the caller, which a refusal leaves usable (but for *EventIDConflictError and
// *InvalidValueError, which the database raises as errors). Until the transaction ends, other writers of the stream wait.
func (r *Repository) AppendTx(
	ctx context.Context, tx pgx.Tx, id StreamID, expected Expected, events ...Event,
) (AppendResult, error) {
	return r.append(ctx, tx, AppendRequest{StreamID: id, Expected: expected, Events: events})
}

// AppendMany appends to many streams, all or nothing, in one round trip, and returns a result for each request in their order.
// Requests to the same stream are applied one after the other. If any is refused, nothing is appended, and the error is a
// *BatchError with what is wrong with each that was refused.
func (r *Repository) AppendMany(ctx context.Context, requests ...AppendRequest) ([]AppendResult, error) {
	return r.appendMany(ctx, r.handle, requests)
}

// AppendManyTx is AppendMany in a transaction of the caller, as AppendTx is Append.
func (r *Repository) AppendManyTx(ctx context.Context, tx pgx.Tx, requests ...AppendRequest) ([]AppendResult, error) {
	return r.appendMany(ctx, tx, requests)
}

// append runs a request on h.
func (r *Repository) append(ctx context.Context, h Handle, request AppendRequest) (AppendResult, error) {
	requests := []AppendRequest{request}
	params, err := batchParams(requests)
	if err != nil {
		return AppendResult{}, err
	}
	var result AppendResult
	err = r.project(ctx, h, func(h Handle) ([]versionRange, error) {
		rows, err := r.write(ctx, h, params)
		if err != nil {
			return nil, mapError(err)
		}
		if result, err = appendOutcome(request, rows[0]); err != nil {
			return nil, err
		}
		return added(requests, []AppendResult{result}), nil
	})
	r.hub.wake()
	if err != nil {
		return AppendResult{}, appendFailed(ctx, request, err)
	}
	return result, nil
}

// appendRows runs requests and gives a row for each: by the short path if it is one of one event.
func (r *Repository) appendRows(
	ctx context.Context, h Handle, p db.EventAppendBatchParams,
) ([]db.EventAppendBatchRow, error) {
	if len(p.StreamIds) != 1 || len(p.Types) != 1 {
		return r.queries.EventAppendBatch(ctx, h, p)
	}
	one := db.EventAppendParams{
		StreamID: p.StreamIds[0], Expected: p.Expected[0], EventID: p.EventIds[0], Type: p.Types[0], Payload: p.Payloads[0],
		OccurredAt: p.OccurredAt[0],
	}
	if p.Data != nil {
		one.Data = p.Data[0]
	}
	if p.Metadata != nil {
		one.Metadata = p.Metadata[0]
	}
	if p.TenantIds != nil {
		one.TenantID = &p.TenantIds[0]
	}
	if p.PartitionIds != nil {
		one.PartitionID = &p.PartitionIds[0]
	}
	row, err := r.queries.EventAppend(ctx, h, one)
	return []db.EventAppendBatchRow{db.EventAppendBatchRow(row)}, err
}

// appendOutcome is the result of a request, or why it was refused.
func appendOutcome(request AppendRequest, row db.EventAppendBatchRow) (AppendResult, error) {
	if err := refusal(request, row); err != nil {
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

func (r *Repository) appendMany(ctx context.Context, h Handle, requests []AppendRequest) ([]AppendResult, error) {
	params, err := batchParams(requests)
	if err != nil {
		return nil, err
	}
	results := make([]AppendResult, len(requests))
	err = r.project(ctx, h, func(h Handle) ([]versionRange, error) {
		rows, err := r.write(ctx, h, params)
		if err != nil {
			return nil, mapError(err)
		}
		var refused []RequestError
		for i, row := range rows {
			results[i] = appendResult(row)
			if err := refusal(requests[i], row); err != nil {
				refused = append(refused, RequestError{Index: i, StreamID: requests[i].StreamID, Err: err})
			}
		}
		if refused != nil {
			return nil, &BatchError{Requests: len(requests), Refused: refused}
		}
		return added(requests, results), nil
	})
	r.hub.wake()
	if err != nil {
		return nil, appendFailed(ctx, requests[0], err)
	}
	return results, nil
}

func appendResult(row db.EventAppendBatchRow) AppendResult {
	return AppendResult{
		FirstVersion:   row.FirstVersion,
		LastVersion:    row.LastVersion,
		LastPosition:   row.LastPosition,
		CurrentVersion: row.CurrentVersion,
		Duplicate:      row.Outcome == "duplicate",
	}
}

// refusal turns the outcome of a request into its error. An empty outcome is a request that another one took down with it.
func refusal(request AppendRequest, row db.EventAppendBatchRow) error {
	id := request.StreamID
	switch row.Outcome {
	case "version_conflict":
		return &VersionConflictError{StreamID: id, Expected: request.Expected.wire(), Actual: row.CurrentVersion}
	case "stream_exists":
		return &StreamExistsError{StreamID: id, Actual: row.CurrentVersion}
	case "stream_missing":
		return &StreamMissingError{StreamID: id}
	case "tenant_mismatch":
		return &TenantMismatchError{
			StreamID: id, StreamTenant: TenantID(row.TenantID), EventTenant: request.Events[0].TenantID,
		}
	case "gap":
		return &GapError{StreamID: id, FirstMissing: row.Watermark + 1, CurrentVersion: row.CurrentVersion}
	}
	return nil
}

// batchParams checks requests, for a better message than the database's, and lays them out as append_batch takes them: an
// array for each column. Columns that no event uses stay nil and are not sent.
func batchParams(requests []AppendRequest) (db.EventAppendBatchParams, error) {
	events := 0
	for _, request := range requests {
		events += len(request.Events)
	}
	if err := checkEventCount(events); err != nil {
		return db.EventAppendBatchParams{}, err
	}
	p := db.EventAppendBatchParams{
		StreamIds:   make([]string, len(requests)),
		Expected:    make([]int64, len(requests)),
		EventCounts: make([]int32, len(requests)),
		Atomic:      true,
	}
	columns := newEventColumns(events)
	for i, request := range requests {
		if err := addRequest(&p, columns, i, request, len(requests)); err != nil {
			return db.EventAppendBatchParams{}, err
		}
	}
	p.EventIds, p.Types, p.Payloads = columns.ids, columns.types, columns.payloads
	p.Data, p.Metadata, p.OccurredAt = columns.data, columns.metadata, columns.occurredAt
	return p, nil
}

func addRequest(p *db.EventAppendBatchParams, columns *eventColumns, i int, request AppendRequest, requests int) error {
	expected, err := expectedWire(request.Expected)
	if err != nil {
		return err
	}
	if err := request.StreamID.Validate(); err != nil {
		return err
	}
	if len(request.Events) == 0 {
		return invalidValue("number of events", "0", "at least 1 for stream "+quote(string(request.StreamID)))
	}
	tenant, err := columns.addAll(request.StreamID, request.Events)
	if err != nil {
		return err
	}
	p.StreamIds[i], p.Expected[i], p.EventCounts[i] = string(request.StreamID), expected, int32(len(request.Events))
	if tenant != "" {
		if p.TenantIds == nil {
			p.TenantIds = make([]string, requests)
		}
		p.TenantIds[i] = string(tenant)
	}
	return addPlacement(p, i, request, requests)
}

func addPlacement(p *db.EventAppendBatchParams, i int, request AppendRequest, requests int) error {
	if request.Partition == nil {
		return nil
	}
	if err := request.Partition.Validate(); err != nil {
		return err
	}
	if p.PartitionIds == nil {
		p.PartitionIds = make([]int32, requests)
		for j := range p.PartitionIds {
			p.PartitionIds[j] = -1
		}
	}
	p.PartitionIds[i] = int32(request.Partition.ID)
	return nil
}

func checkEventCount(events int) error {
	if events < 1 || events > MaxEventsPerCall {
		return invalidValue("number of events", strconv.Itoa(events), "from 1 to 100000 in one call: split the call")
	}
	return nil
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

// addAll checks and adds events of one stream, and returns the tenant that they name, or "" if they name none.
func (c *eventColumns) addAll(id StreamID, events []Event) (TenantID, error) {
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
		c.add(e)
	}
	return tenant, nil
}

func (c *eventColumns) add(e *Event) {
	at := len(c.ids)
	c.ids = append(c.ids, e.ID.String())
	c.types = append(c.types, string(e.Type))
	c.payloads = append(c.payloads, e.Payload)
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
		}
		c.metadata[at] = e.Metadata
	}
}
