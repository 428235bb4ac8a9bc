package eventstream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/internal/importplan"
	"github.com/gaplesspg/gapless/internal/outlast"
)

const (
	// importTries bounds how often a chunk gives way to other writers that create its streams. The second try finds them.
	importTries = 10

	// beginImport goes out in one round trip. READ COMMITTED, whatever the default: a chunk that waited for another writer must see
	// what it wrote. No sequential scan, since pgx keeps the plan that it got while the tables were small; no JIT, which takes longer
	// than the look-ups that it would compile.
	beginImport = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL enable_seqscan = off; SET LOCAL jit = off`
)

// errImportMoved says that another writer created a stream while a chunk was looked at. The chunk is tried again.
var errImportMoved = errors.New("import: another writer created the streams first")

// importAgainCodes are SQLSTATEs that the copy of a chunk meets if another writer was faster, one that takes no lock, or
// where the chunk has too many streams to lock.
var importAgainCodes = []string{
	"23505", // unique violation: a version, or an event id
	"40P01", // deadlock detected: a transaction that appends to several streams takes them in any order
	"40001", // serialization failure
	"ES002", // the stream has a hole now
	"ES003", // it has another tenant
	"ES006", // the other writer drew its position in between
	"ES007", // it is in another partition
}

// write writes the chunk in a transaction, again if another writer is in the way.
func (c *importChunk) write(ctx context.Context) error {
	defer c.run.repo.hook.call()
	for try := 1; ; try++ {
		err := c.try(ctx, try > 1)
		if err == nil {
			return nil
		}
		// A refusal is looked at thoroughly too: an event before the one that was refused may be elsewhere.
		again := importAgain(err) || try == 1 && isImportError(err)
		if try == importTries || !again {
			return c.failed(err)
		}
	}
}

// try writes the chunk in a transaction. The end of the context does not cut off its commit, so that the result counts what is there.
func (c *importChunk) try(ctx context.Context, thorough bool) error {
	return outlast.Tx(ctx, c.run.handle, pgx.TxOptions{BeginQuery: beginImport}, func(tx pgx.Tx) error {
		if err := c.plan(ctx, tx, thorough); err != nil {
			return err
		}
		position, err := c.copyRows(ctx, tx)
		c.position = position
		return err
	})
}

func importAgain(err error) bool {
	var cause *pgconn.PgError
	return errors.Is(err, errImportMoved) ||
		errors.As(err, &cause) && slices.Contains(importAgainCodes, cause.Code) && cause.ConstraintName != positionKey
}

func isImportError(err error) bool {
	var refused *ImportError
	return errors.As(err, &refused)
}

// failed says which events the database did not take, unless the error names one.
func (c *importChunk) failed(err error) error {
	if isImportError(err) {
		return err
	}
	return fmt.Errorf("import: events %d to %d of the source: %w",
		c.before, c.before+int64(c.Len())-1, mapError(err))
}

// plan decides what becomes of the events of the chunk.
func (c *importChunk) plan(ctx context.Context, tx pgx.Tx, thorough bool) error {
	if err := c.findStreams(ctx, tx); err != nil {
		return err
	}
	there, err := c.findEvents(ctx, tx, c.Doubtful(thorough))
	if err != nil {
		return err
	}
	refusal := c.Plan(there, &c.run.rules)
	switch {
	case refusal == nil:
		return nil
	case refusal.Reason == importplan.Moved:
		return errImportMoved
	}
	e := c.Event(refusal.At)
	return c.refused(refusal.At, e, c.explain(ctx, tx, e, refusal))
}

// findStreams locks the streams of the chunk, unless they are many, and reads where those stand that exist. Where it does not lock, or a raw
// INSERT does not ask, the key settles, and the chunk is planned again.
func (c *importChunk) findStreams(ctx context.Context, tx pgx.Tx) error {
	streams := c.Streams()
	if err := c.run.repo.queries.StreamLockMany(ctx, tx, streams); err != nil {
		return err
	}
	rows, err := c.run.repo.queries.StreamLastMany(ctx, tx, streams)
	if err != nil {
		return err
	}
	c.Begin(func(stream string) int32 { return int32(partitionOf(StreamID(stream), c.run.rules.Partitions).ID) })
	for _, row := range rows {
		c.Find(row.StreamID, importplan.Head{
			Tenant: row.TenantID, Partition: row.PartitionID, Watermark: row.Watermark, Current: row.CurrentVersion,
		})
	}
	return nil
}

// findEvents looks for events that may be in the store already.
func (c *importChunk) findEvents(ctx context.Context, tx pgx.Tx, ids []string) (map[uuid.UUID]importplan.Place, error) {
	if ids == nil {
		return nil, nil
	}
	rows, err := c.run.repo.queries.EventPlaceMany(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	there := make(map[uuid.UUID]importplan.Place, len(rows))
	for _, row := range rows {
		there[row.EventID] = importplan.Place{Stream: row.StreamID, Version: row.Version}
	}
	return there, nil
}

// explain is the error for a refusal.
func (c *importChunk) explain(ctx context.Context, tx pgx.Tx, e *importplan.Event, r *importplan.Refusal) error {
	id := StreamID(e.Stream)
	switch r.Reason {
	case importplan.Hole:
		return &GapError{StreamID: id, FirstMissing: r.FirstMissing, CurrentVersion: r.Current}
	case importplan.VersionTaken:
		return c.versionTaken(ctx, tx, e, r)
	case importplan.IDTaken:
		return &EventIDConflictError{
			EventID: e.ID, StreamID: id, FoundStreamID: StreamID(r.Found.Stream), FoundVersion: r.Found.Version, Problem: "is there already",
		}
	case importplan.OtherTenant:
		return &TenantMismatchError{StreamID: id, StreamTenant: TenantID(r.Tenant), EventTenant: TenantID(e.Tenant)}
	case importplan.OtherPartition:
		return &PartitionMismatchError{StreamID: id, StreamPartition: r.Partition, EventPartition: e.Partition}
	default: // NoPartition
		_, err := NewPartitionKey(e.Partition, c.run.rules.Partitions)
		return err
	}
}

// versionTaken says which other event has the version.
func (c *importChunk) versionTaken(ctx context.Context, tx pgx.Tx, e *importplan.Event, r *importplan.Refusal) error {
	conflict := &IngestConflictError{StreamID: StreamID(e.Stream), Version: e.Version, EventID: e.ID, OtherEventID: r.Other, Place: "this call"}
	if r.InChunk {
		return conflict
	}
	conflict.Place = "events"
	rows, err := c.run.repo.eventRange(ctx, tx, conflict.StreamID, e.Version, 1)
	if err != nil {
		return mapError(err)
	}
	for _, row := range rows {
		conflict.OtherEventID = row.ID
	}
	return conflict
}

// copyRows sends the rows of the chunk through the gate, and returns the last one's position.
func (c *importChunk) copyRows(ctx context.Context, tx pgx.Tx) (int64, error) {
	if c.Rows() == 0 {
		return 0, nil
	}
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, c.Copy(), importplan.CopyEvents); err != nil {
		return 0, err
	}
	row, err := c.run.repo.queries.StreamGet(ctx, tx, c.LastStream())
	return row.LastPosition, err
}
