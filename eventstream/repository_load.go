package eventstream

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// Load brings a whole stream into memory, in one round trip, or two where events of it wait, through the checks of Reconstruct. It returns a
// *StreamNotFoundError for a stream that is not there, and an *UnreadableEventError for one with an event that the server cannot give. For a
// long stream, Read goes through its events in bounded memory.
func (r *Repository) Load(ctx context.Context, id StreamID) (*EventStream, error) {
	ctx, trace := r.startRead(ctx, OperationLoad, id)
	stream, err := r.load(ctx, id)
	trace.loaded(stream, err)
	return stream, err
}

func (r *Repository) load(ctx context.Context, id StreamID) (*EventStream, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		rows := rowsOn(r.handle)
		if _, err := r.queries.EventListWithHead(ctx, rows, string(id)); err != nil {
			return nil, mapError(err)
		}
		head, events, waits, err := rows.collectStream()
		if err != nil {
			return nil, mapError(r.nameUnreadable(ctx, r.handle, id, err))
		}
		if len(events) > 0 && head.Partition.Count > 0 {
			if waits {
				err = r.lookAhead(ctx, &head)
			}
			if err != nil {
				return nil, err
			}
			return streamFromHead(head, events)
		}
		if len(events) > 0 {
			// Events without the first one: somebody turned the rules off and removed it. No stream can be made of them, and the check says why.
			last := events[len(events)-1]
			return streamFromHead(StreamHead{
				StreamID: id, Partition: PartitionKey{ID: last.PartitionID, Count: last.PartitionID + 1}, TenantID: last.TenantID,
				CurrentVersion: last.Version, Watermark: last.Version,
			}, events)
		}
		// There is no such stream, or all that arrived of it waits for its first event.
		head, err = r.stream(ctx, r.handle, id)
		if err != nil {
			return nil, err
		}
		if head.Watermark == 0 || again {
			// What is said to be there and is not found twice is damaged, as by a broken index: the check says what is missing.
			return streamFromHead(head, nil)
		}
		// The first event arrived between the two queries: now the first one finds it.
	}
}

// GetOrCreate is Load, but for a stream that is not there it returns an empty one. Nothing is written: the stream is created
// by the Save of its first event, which fails with a *VersionConflictError if another writer was faster.
func (r *Repository) GetOrCreate(ctx context.Context, id StreamID) (*EventStream, error) {
	stream, err := r.Load(ctx, id)
	if !errors.Is(err, ErrStreamNotFound) {
		return stream, err
	}
	count, err := r.partitionCount(ctx, r.handle)
	if err != nil {
		return nil, err
	}
	stream = New(id)
	stream.partition = partitionOf(id, count)
	stream.tenant = r.tenant
	return stream, nil
}

// Save appends the new events of a stream, in one round trip, and moves its watermark over them. The stream must still be at
// the version that it was loaded with, else Save returns a *VersionConflictError and the stream keeps its new events: load it
// again and decide anew. Repeating a Save whose answer was lost is safe. A stream without new events is left alone. After a Save in a
// transaction (WithTx) that is rolled back, the stream in memory is ahead of the database: load it again.
func (r *Repository) Save(ctx context.Context, stream *EventStream) (AppendResult, error) {
	if stream == nil {
		return AppendResult{}, invalidValue("stream", "nil", "made by New, Load or GetOrCreate")
	}
	events := stream.unsaved()
	if len(events) == 0 {
		return AppendResult{CurrentVersion: stream.current}, nil
	}
	request := AppendRequest{StreamID: stream.id, Expected: Exact(stream.watermark), Events: events}
	if stream.watermark == 0 {
		placement, err := r.placement(ctx, r.handle, stream)
		if err != nil {
			return AppendResult{}, err
		}
		request.Partition = &placement
	}
	result, err := r.append(ctx, request)
	if err != nil {
		return AppendResult{}, err
	}
	stream.confirm(nil, time.Now())
	return result, nil
}

// placement returns the partition that a new stream goes into. New does not know the store: where it chose the usual partition
// for another count, the usual one of this store is meant.
func (r *Repository) placement(ctx context.Context, h Handle, stream *EventStream) (PartitionKey, error) {
	count, err := r.partitionCount(ctx, h)
	if err != nil {
		return PartitionKey{}, err
	}
	if stream.partition.Count == count {
		return stream.partition, nil
	}
	if stream.partition != partitionOf(stream.id, stream.partition.Count) {
		return PartitionKey{}, &StoreMismatchError{
			Subject: "partition count", Expected: int64(stream.partition.Count), Actual: int64(count),
		}
	}
	stream.partition = partitionOf(stream.id, count)
	for i := range stream.events {
		stream.events[i].PartitionID = stream.partition.ID
	}
	return stream.partition, nil
}

// notFound returns missing for a query without a row, and the mapped error for anything else.
func notFound(err, missing error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return missing
	}
	return mapError(err)
}

// streamFromHead builds a stream that owns events, through the checks of Reconstruct.
func streamFromHead(head StreamHead, events []Event) (*EventStream, error) {
	return streamOnBase(0, head, events)
}

// streamOnBase is streamFromHead for events that follow a base version.
func streamOnBase(base int64, head StreamHead, events []Event) (*EventStream, error) {
	s := &EventStream{
		id:        head.StreamID,
		base:      base,
		partition: head.Partition,
		tenant:    head.TenantID,
		events:    events,
		watermark: head.Watermark,
		current:   head.CurrentVersion,
		createdAt: head.CreatedAt,
		updatedAt: head.UpdatedAt,
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// lookAhead adds what waits ahead of a stream's events. Of what has come since these were read, it does not matter where it is by now.
func (r *Repository) lookAhead(ctx context.Context, head *StreamHead) error {
	now, err := r.stream(ctx, r.handle, head.StreamID)
	if err != nil {
		return err
	}
	head.CurrentVersion = max(head.CurrentVersion, now.CurrentVersion)
	if now.UpdatedAt.After(head.UpdatedAt) {
		head.UpdatedAt = now.UpdatedAt
	}
	return nil
}

// collectStream reads the rows of EventListWithHead: the events of all, where the stream stands by these, and whether others wait. The
// partition count of a stream that does not begin with its first event stays 0.
func (r *rowsOf) collectStream() (head StreamHead, events []Event, waits bool, err error) {
	defer r.Rows.Close()
	scanner := eventScanner{rows: r.Rows}
	var partitions *int
	for r.Rows.Next() {
		events = append(events, Event{})
		e := &events[len(events)-1]
		if len(events) > 1 && scanner.binary {
			err = scanner.scan(e)
		} else {
			err = scanner.scanWith(e, &partitions)
		}
		if err != nil {
			return head, nil, false, err
		}
		if len(events) == 1 {
			scanner.open()
			scanner.stream, scanner.tenant = e.StreamID, e.TenantID
			head = StreamHead{StreamID: e.StreamID, TenantID: e.TenantID, Partition: PartitionKey{ID: e.PartitionID}, CreatedAt: e.RecordedAt}
			if partitions != nil {
				head.Partition.Count, waits = max(*partitions, -*partitions), *partitions < 0
			}
		}
	}
	if len(events) > 0 {
		head.follow(&events[len(events)-1])
	}
	return head, events, waits, r.Rows.Err()
}

// follow says where the stream stands after its last event, unless an event that waits is ahead of it.
func (h *StreamHead) follow(last *Event) {
	h.Watermark, h.LastPosition = last.Version, last.Position
	h.CurrentVersion = max(h.CurrentVersion, last.Version)
	if last.RecordedAt.After(h.UpdatedAt) {
		h.UpdatedAt = last.RecordedAt
	}
}

// eventFromRow takes over what the row holds, without copying.
func eventFromRow(row *db.Event) Event {
	e := Event{
		ID:          row.EventID,
		StreamID:    StreamID(row.StreamID),
		Version:     row.Version,
		Position:    row.Position,
		Type:        EventType(row.Type),
		Payload:     row.Payload,
		Data:        row.Data,
		Metadata:    row.Metadata,
		TenantID:    TenantID(row.TenantID),
		PartitionID: int(row.PartitionID),
		OccurredAt:  row.OccurredAt.UTC(),
		RecordedAt:  row.RecordedAt.UTC(),
	}
	e.dropNullPayload()
	return e
}

// dropNullPayload undoes what the column needs, which is never NULL: beside data, the JSON null stands for none.
func (e *Event) dropNullPayload() {
	if e.Data != nil && string(e.Payload) == "null" {
		e.Payload = nil
	}
	e.noticeErased()
}
