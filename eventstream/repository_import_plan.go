package eventstream

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// errImportMoved says that another writer created a stream while a chunk was looked at. The chunk is tried again.
var errImportMoved = errors.New("import: another writer created the streams first")

// eventPlace is where an event is in the store.
type eventPlace struct {
	stream  StreamID
	version int64
}

// importPlan decides what becomes of the events of a chunk, one by one in their order.
type importPlan struct {
	*importRun
	tx pgx.Tx
	// there are the events of the chunk that the store has, as far as they were looked for.
	there map[uuid.UUID]eventPlace
}

// plan fills the chunk's rows. thorough looks for all events rather than for those of streams that have any: a new stream's
// events may be elsewhere, but then the copy fails, and only then is it worth the time.
func (i *importRun) plan(ctx context.Context, tx pgx.Tx, thorough bool) error {
	i.chunk.unplan()
	if err := i.lockHeads(ctx, tx); err != nil {
		return err
	}
	there, err := i.places(ctx, tx, thorough)
	if err != nil {
		return err
	}
	p := importPlan{importRun: i, tx: tx, there: there}
	for at := range i.chunk.events {
		e := &i.chunk.events[at]
		err := p.decide(ctx, at, e, &i.chunk.heads[i.chunk.headOf[at]])
		if errors.Is(err, errImportMoved) {
			return err
		}
		if err != nil {
			return i.refused(at, e, err)
		}
	}
	return nil
}

// lockHeads locks the streams of the chunk, unless they are many, and reads where those stand that exist. Where it does not lock, or a raw
// INSERT does not ask, the key settles, and the chunk is planned again.
func (i *importRun) lockHeads(ctx context.Context, tx pgx.Tx) error {
	if err := i.repo.queries.StreamLockMany(ctx, tx, i.chunk.streamIDs); err != nil {
		return err
	}
	rows, err := i.repo.queries.StreamLastMany(ctx, tx, i.chunk.streamIDs)
	if err != nil {
		return err
	}
	for at, id := range i.chunk.streamIDs {
		i.chunk.heads[at] = importHead{partition: int32(partitionOf(StreamID(id), i.partitions).ID), next: 1}
	}
	for _, row := range rows {
		i.chunk.heads[i.chunk.streams[StreamID(row.StreamID)]] = importHead{
			tenant: TenantID(row.TenantID), partition: row.PartitionID,
			watermark: row.Watermark, current: row.CurrentVersion, next: row.Watermark + 1,
		}
	}
	return nil
}

// places looks for the events that may be in the store already.
func (i *importRun) places(ctx context.Context, tx pgx.Tx, thorough bool) (map[uuid.UUID]eventPlace, error) {
	var ids []string
	for at := range i.chunk.events {
		e := &i.chunk.events[at]
		watermark := i.chunk.heads[i.chunk.headOf[at]].watermark
		if thorough || watermark > 0 && e.Version <= watermark {
			ids = append(ids, e.ID.String())
		}
	}
	if ids == nil {
		return nil, nil
	}
	rows, err := i.repo.queries.EventPlaceMany(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	there := make(map[uuid.UUID]eventPlace, len(rows))
	for _, row := range rows {
		there[row.EventID] = eventPlace{StreamID(row.StreamID), row.Version}
	}
	return there, nil
}

// decide writes, skips or refuses one event.
func (p *importPlan) decide(ctx context.Context, at int, e *Event, head *importHead) error {
	if e.Version > head.next {
		return &GapError{StreamID: e.StreamID, FirstMissing: head.next, CurrentVersion: max(e.Version, head.current)}
	}
	found, known := p.find(e.ID)
	here := known && found.stream == e.StreamID
	switch {
	case e.Version == 0 && here, e.Version != 0 && e.Version < head.next && here && found.version == e.Version:
		return nil
	case e.Version != 0 && e.Version < head.next:
		return p.taken(ctx, e, head)
	case here && found.version == e.Version:
		return errImportMoved
	case known:
		return &EventIDConflictError{
			EventID: e.ID, StreamID: e.StreamID, FoundStreamID: found.stream, FoundVersion: found.version,
			Problem: "is there already",
		}
	}
	return p.write(at, e, head)
}

// find looks for an event in the store and among the rows before it.
func (p *importPlan) find(id uuid.UUID) (eventPlace, bool) {
	if row, ok := p.chunk.rowOf[id]; ok {
		r := p.chunk.rows[row]
		return eventPlace{p.chunk.events[r.event].StreamID, r.version}, true
	}
	found, ok := p.there[id]
	return found, ok
}

// taken says which other event has the version.
func (p *importPlan) taken(ctx context.Context, e *Event, head *importHead) error {
	conflict := &IngestConflictError{StreamID: e.StreamID, Version: e.Version, EventID: e.ID, Place: "events"}
	if e.Version > head.watermark {
		conflict.Place = "this call"
		for _, row := range p.chunk.rows {
			if other := &p.chunk.events[row.event]; other.StreamID == e.StreamID && row.version == e.Version {
				conflict.OtherEventID = other.ID
			}
		}
		return conflict
	}
	rows, err := p.repo.eventRange(ctx, p.tx, e.StreamID, e.Version, 1)
	if err != nil {
		return mapError(err)
	}
	for i := range rows {
		conflict.OtherEventID = rows[i].ID
	}
	return conflict
}

// write takes an event as the next of its stream.
func (p *importPlan) write(at int, e *Event, head *importHead) error {
	switch {
	case head.current > head.watermark:
		return &GapError{StreamID: e.StreamID, FirstMissing: head.watermark + 1, CurrentVersion: head.current}
	case head.tenant == "":
		head.tenant = e.TenantID
		if e.TenantID == "" {
			head.tenant = DefaultTenant
		}
	case e.TenantID != "" && e.TenantID != head.tenant:
		return &TenantMismatchError{StreamID: e.StreamID, StreamTenant: head.tenant, EventTenant: e.TenantID}
	}
	if err := p.place(e, head); err != nil {
		return err
	}
	p.chunk.rowOf[e.ID] = int32(len(p.chunk.rows))
	p.chunk.rows = append(p.chunk.rows, importRow{event: int32(at), version: head.next})
	head.next++
	return nil
}

// place heeds the partition that an event names, if they count.
func (p *importPlan) place(e *Event, head *importHead) error {
	if !p.keepPartitions {
		return nil
	}
	if _, err := NewPartitionKey(e.PartitionID, p.partitions); err != nil {
		return err
	}
	switch {
	case head.next == 1:
		head.partition = int32(e.PartitionID)
	case int(head.partition) != e.PartitionID:
		return &PartitionMismatchError{StreamID: e.StreamID, StreamPartition: int(head.partition), EventPartition: e.PartitionID}
	}
	return nil
}
