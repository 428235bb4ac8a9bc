package subscription

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/shown"
)

// RebuildRequest is a request that is open, made by RequestRebuild.
type RebuildRequest struct {
	// ID names it in eventstream.rebuild_requests.
	ID uuid.UUID
	// Earlier says that it was open already: what it asks for is what was asked for then.
	Earlier bool
}

// RequestRebuild asks for a rebuild of a projection, and returns at once: a process that runs it takes that up within about a second, as
// Projector.Rebuild would do it, and records how it ended in eventstream.rebuild_requests. Where nobody runs the projection, the request
// waits. It returns ErrRebuildRunning while a rebuild runs that nobody requested, a *NotFoundError, a *MismatchError for a subscription that
// is not that of a projection, and an *eventstream.InvalidValueError for a number of shards out of bounds.
func RequestRebuild(ctx context.Context, repo *eventstream.Repository, projection string, opts *RebuildOptions) (RebuildRequest, error) {
	params := db.ProjectionRequestRebuildParams{Name: projection}
	if opts != nil {
		params.InPlace = opts.InPlace
		if opts.Shards != 0 {
			shards := int32(opts.Shards)
			params.ShardCount = &shards
		}
	}
	var row db.ProjectionRequestRebuildRow
	err := manage(ctx, repo, func(h db.DBTX) (err error) {
		row, err = db.New().ProjectionRequestRebuild(ctx, h, params)
		return err
	})
	switch {
	case err != nil:
		return RebuildRequest{}, err
	case row.RequestID == uuid.Nil:
		return RebuildRequest{}, fmt.Errorf("projection %s: %w", shown.Quote(projection), ErrRebuildRunning)
	}
	return RebuildRequest{ID: row.RequestID, Earlier: row.Outcome == "open"}, nil
}

// CancelRebuild takes back what RequestRebuild asked for, and says whether that was open. A process that is at it stops within about a second;
// tables that it was filling in place stay incomplete until a rebuild is done. It returns a *NotFoundError, and a *MismatchError for a subscription that
// is not that of a projection.
func CancelRebuild(ctx context.Context, repo *eventstream.Repository, projection string) (canceled bool, err error) {
	err = manage(ctx, repo, func(h db.DBTX) (err error) {
		canceled, err = db.New().ProjectionCancelRebuild(ctx, h, projection)
		return err
	})
	return canceled, err
}
