package eventstream

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/outlast"
)

// archiveBatch is how many events one transaction moves. Appends to the stream wait for it.
const archiveBatch = 1000

// ArchiveResult says what Archive did.
type ArchiveResult struct {
	// Events is how many events it moved. They are moved for good, also where Archive returns an error besides: the next call goes on after them.
	// It counts too few in one case: if the connection is lost while the server commits, the last batch may be moved and not counted.
	Events int64
}

// Archive moves events of a stream, from version 2 up to the one before a version, to eventstream.archived_events: a table for what is seldom
// read, which may have a tablespace of its own. The first and the last event of the stream stay where they are. Nothing changes for readers: Load,
// Read, ReadLog and subscriptions bring archived events in their places, numbers and seals stay valid, and Erase reaches them.
//
// It moves them in batches, each in a transaction of its own (a repository of WithTx: all in that one), oldest first. A call that ended early
// is made again: it goes on where the last one stopped, and moves nothing twice. A stream that does not exist is a *StreamNotFoundError, a version
// below 1 an *InvalidValueError; a version above the last one stands for all but the last. It is for all tenants: a repository of ForTenant
// refuses it, whatever the stream.
func (r *Repository) Archive(ctx context.Context, id StreamID, before int64) (ArchiveResult, error) {
	var result ArchiveResult
	if err := errorsFirst(r.forAllTenants("archiving: call it on the one that ForTenant was called on"), id.Validate()); err != nil {
		return result, err
	}
	if before < 1 {
		return result, invalidValue("before version", strconv.FormatInt(before, 10), "1 or more")
	}
	for {
		moved, err := r.moveBatch(ctx, db.ArchiveParams{StreamID: string(id), BeforeVersion: before, MaxEvents: archiveBatch})
		if err != nil {
			return result, fmt.Errorf("archive stream %s: %w", quote(string(id)), mapError(err))
		}
		if result.Events += moved; moved < archiveBatch {
			return result, nil
		}
	}
}

// moveBatch moves a batch. The end of the context does not cut off its commit, so that the result counts what is moved.
func (r *Repository) moveBatch(ctx context.Context, batch db.ArchiveParams) (moved int64, err error) {
	begins, alone := isolation.AloneOn(r.handle)
	if !alone {
		return r.queries.Archive(ctx, r.handle, batch)
	}
	err = outlast.Tx(ctx, begins, pgx.TxOptions{}, func(tx pgx.Tx) error {
		moved, err = r.queries.Archive(ctx, tx, batch)
		return err
	})
	return moved, err
}
