package eventstream

import (
	"context"
	"strconv"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/appendargs"
	"github.com/gaplesspg/gapless/internal/isolation"
)

// IngestResult says what became of the events of an Ingest, and where the stream stands.
type IngestResult struct {
	// Appended is how many events entered the stream: of this call, and of earlier ones that waited for them.
	Appended int64
	// Pending is how many events of this call wait for a version before them.
	Pending int64
	// Duplicates is how many events of this call were there already.
	Duplicates int64
	// Watermark is the highest version up to which nothing is missing: what readers see.
	Watermark int64
	// CurrentVersion is the highest version that arrived. Equal to Watermark, nothing is missing.
	CurrentVersion int64
}

// Ingest takes events of a stream that come with their Version set, in any order and any number of times, in one round trip.
// What follows the watermark enters the stream; what leaves a hole waits, unseen by readers, until the hole is filled. An
// event that exists already changes nothing.
//
// A version more than Config.MaxAhead above the watermark is an *InvalidValueError. Another event for a version that is taken is an
// *IngestConflictError, an id used for two events an *EventIDConflictError; then nothing of the call is kept.
func (r *Repository) Ingest(ctx context.Context, id StreamID, events ...Event) (IngestResult, error) {
	ctx, end := r.startIntake(ctx, OperationIngest, id)
	result, err := r.ingestEvents(ctx, id, events)
	end(IntakeEnd{Appended: result.Appended, Pending: result.Pending, Duplicates: result.Duplicates, Err: err})
	return result, err
}

func (r *Repository) ingestEvents(ctx context.Context, id StreamID, events []Event) (IngestResult, error) {
	params, err := ingestParams(id, events)
	if err != nil {
		return IngestResult{}, err
	}
	params.MaxAhead = r.config.MaxAhead
	if params.TenantID, err = r.ingestTenant(id, params.TenantID); err != nil {
		return IngestResult{}, err
	}
	var result IngestResult
	err = r.projectOrReadCommitted(ctx, r.handle, func(h Handle) ([]versionRange, error) {
		row, err := r.ingest(ctx, h, params)
		if err != nil {
			return nil, mapError(err)
		}
		result = IngestResult(row)
		if result.Appended == 0 {
			return nil, nil
		}
		return []versionRange{{id, result.Watermark - result.Appended + 1, result.Watermark}}, nil
	})
	r.hook.call()
	return result, err
}

// AdvanceWatermark moves events that wait for nothing any more into the stream and returns its watermark. Ingest does so by
// itself; this is for a stream whose hole was filled by other means. It returns ErrStreamNotFound for a stream that is not
// there.
func (r *Repository) AdvanceWatermark(ctx context.Context, id StreamID) (int64, error) {
	if err := id.Validate(); err != nil {
		return 0, err
	}
	var watermark int64
	err := r.projectOrReadCommitted(ctx, r.handle, func(h Handle) ([]versionRange, error) {
		before, err := r.stream(ctx, h, id)
		if err != nil {
			return nil, err
		}
		if watermark, err = r.advanceWatermark(ctx, h, id); err != nil {
			return nil, mapError(err)
		}
		if watermark == before.Watermark {
			return nil, nil
		}
		return []versionRange{{id, before.Watermark + 1, watermark}}, nil
	})
	r.hook.call()
	return watermark, err
}

// DiscardPending gives up the events of a stream that wait from a version on, 1 for all of them, because nothing will ever fill the hole
// before them. They leave for eventstream.discarded_events, with who did it, when and the reason, which must say something; the stream
// takes appends again. It returns how many events that were, 0 for a stream that is not there.
func (r *Repository) DiscardPending(ctx context.Context, id StreamID, reason string, from int64) (int64, error) {
	if err := id.Validate(); err != nil {
		return 0, err
	}
	if from < 1 {
		return 0, invalidValue("version", strconv.FormatInt(from, 10), "1 or more")
	}
	var discarded int64
	err := isolation.OrReadCommitted(ctx, r.handle, func(h db.DBTX) (err error) {
		discarded, err = r.queries.StreamDiscardPending(ctx, h, db.StreamDiscardPendingParams{
			StreamID: string(id), Reason: reason, FromVersion: from,
		})
		return err
	})
	return discarded, mapError(err)
}

func ingestParams(id StreamID, events []Event) (db.IngestParams, error) {
	if err := checkEventCount(len(events)); err != nil {
		return db.IngestParams{}, err
	}
	if err := id.Validate(); err != nil {
		return db.IngestParams{}, err
	}
	tenant, err := checkEvents(id, events)
	if err != nil {
		return db.IngestParams{}, err
	}
	columns := appendargs.NewEvents(len(events))
	for i := range events {
		events[i].addTo(&columns)
	}
	p := db.IngestParams{
		StreamID: string(id), Versions: make([]int64, len(events)),
		EventIds: columns.IDs, Types: columns.Types, Payloads: columns.Payloads,
		Data: columns.Data, Metadata: columns.Metadata, OccurredAt: columns.OccurredAt,
	}
	if tenant != "" {
		name := string(tenant)
		p.TenantID = &name
	}
	for i, e := range events {
		if e.Version < 1 {
			return p, invalidValue("version", strconv.FormatInt(e.Version, 10), "1 or more for each event of an Ingest")
		}
		p.Versions[i] = e.Version
	}
	return p, nil
}
