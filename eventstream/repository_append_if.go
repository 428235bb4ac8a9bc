package eventstream

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/pause"
)

const (
	// aheadPatience is how long ReadQuery waits for a matching event that is committed, and above what can be read.
	aheadPatience = 100 * time.Millisecond
	// queryPage is how many events of a query are read at once.
	queryPage = 1000
)

// ReadQuery reads the events above the position after, 0 for all, that match a query, in the order of the log, and returns with them the
// position up to which that is everything: the one to give to AppendIf, and to the next ReadQuery as after. All are in memory at once.
//
// That is the stable position, so a transaction that appends and does not end holds it back, and decisions on what others append meanwhile
// conflict until then. What has been committed just above it is waited for, 100 milliseconds at most and not in a transaction of the caller.
// Reading far back is fast with the index events_tags_idx: docs/modelling-tags.md.
func (r *Repository) ReadQuery(ctx context.Context, query Query, after int64) ([]Event, int64, error) {
	ctx, trace := r.startRead(ctx, OperationReadQuery, "")
	events, until, err := r.readUntilStable(ctx, query, after)
	trace.end(len(events), err)
	return events, until, err
}

func (r *Repository) readUntilStable(ctx context.Context, query Query, after int64) ([]Event, int64, error) {
	wire, err := checkRead(query, after)
	if err != nil {
		return nil, 0, err
	}
	until, err := r.queryPosition(ctx, wire)
	if err != nil {
		return nil, 0, mapError(err)
	}
	events, err := r.readQuery(ctx, wire, after, until)
	return events, max(until, after), err
}

// ReadQueryForUpdate is ReadQuery in a transaction (WithTx), and keeps others from appending what matches until that ends: an AppendIf of the
// transaction with this query and position, before it appends anything else, meets no conflict. For decisions that many want to make at once: they
// come in order of arrival, and nobody's work is lost. It needs EXECUTE on lock_query, and READ COMMITTED, as AppendIf does. The position is
// good for that AppendIf alone: what others have drawn below it may appear later if nothing is appended.
func (r *Repository) ReadQueryForUpdate(ctx context.Context, query Query, after int64) ([]Event, int64, error) {
	ctx, trace := r.startRead(ctx, OperationReadQuery, "")
	events, until, err := r.readUnderLock(ctx, query, after)
	trace.end(len(events), err)
	return events, until, err
}

func (r *Repository) readUnderLock(ctx context.Context, query Query, after int64) ([]Event, int64, error) {
	wire, err := checkRead(query, after)
	if err != nil {
		return nil, 0, err
	}
	if _, alone := isolation.AloneOn(r.handle); alone {
		return nil, 0, invalidValue("handle", "outside a transaction", "a pgx.Tx: what is held is let go of when its transaction ends")
	}
	until, err := r.queries.QueryLock(ctx, r.handle, wire)
	if err != nil {
		return nil, 0, mapError(err)
	}
	events, err := r.readQuery(ctx, wire, after, until)
	return events, max(until, after), err
}

func checkRead(query Query, after int64) (json.RawMessage, error) {
	if after < 0 {
		return nil, invalidValue("after", strconv.FormatInt(after, 10), "0 or more")
	}
	return query.wire()
}

// readQuery reads all pages.
func (r *Repository) readQuery(ctx context.Context, query json.RawMessage, after, until int64) (events []Event, err error) {
	for {
		rows := rowsOn(r.handle)
		_, err := r.queries.QueryList(ctx, rows, db.QueryListParams{Query: query, After: after, Until: until, PageSize: queryPage})
		if err != nil {
			return nil, mapError(err)
		}
		page, err := collectAll(rows)
		if err != nil {
			return nil, mapError(err)
		}
		events = append(events, page...)
		if len(page) < queryPage {
			return events, nil
		}
		after = page[len(page)-1].Position
	}
}

// collectAll reads all rows of a query of events.
func collectAll(r *rowsOf) ([]Event, error) {
	defer r.Rows.Close()
	scanner := eventScanner{rows: r.Rows}
	var events []Event
	for r.Rows.Next() {
		var e Event
		if err := scanner.scan(&e); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, r.Rows.Err()
}

// queryPosition is up to where a later statement reads what a decision is made on.
func (r *Repository) queryPosition(ctx context.Context, query json.RawMessage) (int64, error) {
	began := time.Now()
	for {
		q, err := r.queries.QueryPosition(ctx, r.handle, query)
		_, alone := isolation.AloneOn(r.handle)
		if err == nil && alone && q.IsKept {
			err = isolation.ReadCommitted(ctx, r.handle, func(h db.DBTX) (err error) {
				q, err = r.queries.QueryPosition(ctx, h, query)
				return err
			})
		}
		if err != nil || !q.IsAhead || !alone || time.Since(began) > aheadPatience {
			return q.ReadUntil, err
		}
		if err := pause.For(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// AppendIf appends to any number of streams, all or nothing, if no event that matches the query came after the position, in one round trip.
// Else it is a *DecisionConflictError: read and decide again. The position is that of ReadQuery, or the highest LastPosition that an AppendIf
// with the same query returned. Each request keeps its own expectation too, and what is refused by that is a *BatchError, as by AppendMany.
//
// However many do it at once, and whoever else writes events with tags, and by which way: between the position and the last event of an AppendIf that
// succeeded there is no event that matches its query. It waits for writers of matching events, and they for it, and nobody else. Events that were
// appended by an earlier AppendIf, the same and all of them, are a Duplicate: trying again after a lost connection is safe. The last event gets the
// query and the position into its metadata, under the key "decided".
//
// In a transaction (WithTx) decide first and append other events later: what the transaction appended itself counts as after the position. In
// REPEATABLE READ and SERIALIZABLE it is a serialization failure (40001) unless everything appended is stable in the snapshot.
func (r *Repository) AppendIf(ctx context.Context, query Query, position int64, requests ...AppendRequest) ([]AppendResult, error) {
	if r.trace == nil {
		return r.decide(ctx, query, position, requests)
	}
	trace := r.startAppend(ctx, requests)
	results, err := r.decide(trace.ctx, query, position, trace.requests)
	trace.end(results, err)
	return results, err
}

func (r *Repository) decide(ctx context.Context, query Query, position int64, requests []AppendRequest) ([]AppendResult, error) {
	wire, err := query.wire()
	if err != nil {
		return nil, err
	}
	item, err := r.newAppendItem(requests, nil)
	if err != nil {
		return nil, err
	}
	var results []AppendResult
	err = r.projectOrReadCommitted(ctx, r.handle, func(h Handle) ([]versionRange, error) {
		rows, err := r.appendIf(ctx, h, decision(wire, position, item))
		if err != nil {
			return nil, mapError(err)
		}
		results, err = decided(position, requests, item, rows)
		return added(requests, results), err
	})
	r.hook.call()
	if err != nil {
		return nil, appendFailed(ctx, requests[0], err)
	}
	return results, nil
}

func decision(query json.RawMessage, position int64, item *appendItem) db.AppendIfParams {
	p := layOut([]*appendItem{item})
	return db.AppendIfParams{
		Query: query, Position: position,
		StreamIds: p.StreamIds, Expected: p.Expected, EventCounts: p.EventCounts, EventIds: p.EventIds, Types: p.Types, Payloads: p.Payloads,
		Data: p.Data, Metadata: p.Metadata, OccurredAt: p.OccurredAt, TenantIds: p.TenantIds, PartitionIds: p.PartitionIds,
	}
}

// decided is what became of a decision.
func decided(position int64, requests []AppendRequest, item *appendItem, rows []db.AppendIfRow) ([]AppendResult, error) {
	plain := make([]db.AppendBatchRow, len(rows))
	for i, row := range rows {
		if row.Outcome == "decision_conflict" {
			return nil, &DecisionConflictError{Position: position, Found: row.FoundPosition}
		}
		plain[i] = db.AppendBatchRow{
			Request: row.Request, Outcome: row.Outcome, FirstVersion: row.FirstVersion, LastVersion: row.LastVersion,
			LastPosition: row.LastPosition, CurrentVersion: row.CurrentVersion, Watermark: row.Watermark, TenantID: row.TenantID,
		}
	}
	var refused []RequestError
	results := make([]AppendResult, len(requests))
	for i, row := range item.asCalled(plain) {
		results[i] = appendResult(row)
		if err := refusal(requests[i], row, item.bound); err != nil {
			refused = append(refused, RequestError{Index: i, StreamID: requests[i].StreamID, Err: err})
		} else if row.Outcome != "" && row.Outcome != "appended" && row.Outcome != "duplicate" {
			return nil, fmt.Errorf("decision on stream %s: the database answers %s: it is newer than this program",
				quote(string(requests[i].StreamID)), quote(row.Outcome))
		}
	}
	if refused != nil {
		return nil, &BatchError{Requests: len(requests), Refused: refused}
	}
	return results, nil
}
