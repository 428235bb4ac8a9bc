package eventstream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// importTries bounds how often a chunk gives way to other writers that create its streams. The second try finds them.
	importTries = 10

	// beginImport goes out in one round trip. READ COMMITTED, whatever the default: a chunk that waited for another writer must see
	// what it wrote. No sequential scan, since pgx keeps the plan that it got while the tables were small; no JIT, which takes longer
	// than the look-ups that it would compile.
	beginImport = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL enable_seqscan = off; SET LOCAL jit = off`
)

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

// writeChunk writes the chunk in a transaction, again if another writer is in the way, and returns its last position.
func (i *importRun) writeChunk(ctx context.Context) (position int64, err error) {
	for try := 1; ; try++ {
		err = pgx.BeginTxFunc(ctx, i.handle, pgx.TxOptions{BeginQuery: beginImport}, func(tx pgx.Tx) error {
			if err := i.plan(ctx, tx, try > 1); err != nil {
				return err
			}
			position, err = i.copyRows(ctx, tx)
			return err
		})
		if err == nil {
			return position, nil
		}
		// A refusal is looked at thoroughly too: an event before the one that was refused may be elsewhere.
		again := importAgain(err) || try == 1 && isImportError(err)
		if try == importTries || !again {
			return 0, i.failed(err)
		}
	}
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
func (i *importRun) failed(err error) error {
	if isImportError(err) {
		return err
	}
	return fmt.Errorf("import: events %d to %d of the source: %w",
		i.taken, i.taken+int64(len(i.chunk.events))-1, mapError(err))
}

// copyRows sends the rows of the chunk through the gate, and returns the last one's position.
func (i *importRun) copyRows(ctx context.Context, tx pgx.Tx) (int64, error) {
	if len(i.chunk.rows) == 0 {
		return 0, nil
	}
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, newCopyReader(i.chunk), copyEvents); err != nil {
		return 0, err
	}
	last := i.chunk.rows[len(i.chunk.rows)-1]
	row, err := i.repo.queries.StreamGet(ctx, tx, string(i.chunk.events[last.event].StreamID))
	return row.LastPosition, err
}
