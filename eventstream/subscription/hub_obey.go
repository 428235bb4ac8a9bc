package subscription

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
)

// readRequests returns what is requested of what this process runs. Where nothing can be requested of that, it costs nothing.
func (h *hub) readRequests(ctx context.Context, q db.DBTX) ([]db.ProjectionRebuildRequestsRow, error) {
	names := h.obedient()
	if len(names) == 0 {
		return nil, nil
	}
	return db.New().ProjectionRebuildRequests(ctx, q, names)
}

// obedient returns the names of the projections that run.
func (h *hub) obedient() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name, r := range h.runs {
		if r.sub.obey != nil && !r.leaving {
			names = append(names, name)
		}
	}
	return names
}

// obeyAll begins what is requested and nobody is at, and ends what is not requested any more.
func (h *hub) obeyAll(requests []db.ProjectionRebuildRequestsRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, r := range h.runs {
		at := slices.IndexFunc(requests, func(q db.ProjectionRebuildRequestsRow) bool { return q.Projection == name })
		switch {
		case r.revoke != nil:
			if at < 0 || requests[at].RequestID != r.requested {
				r.revoke(ErrRebuildCanceled)
			}
		case at >= 0 && !requests[at].Rebuilding && r.sub.obey != nil && !r.leaving && r.ctx.Err() == nil:
			h.begin(r, requests[at].RequestID)
		}
	}
}

// begin does what was requested, beside the run. The caller holds mu.
func (h *hub) begin(r *run, request uuid.UUID) {
	ctx, revoke := context.WithCancelCause(r.ctx)
	r.requested, r.revoke = request, revoke
	r.obeying.Go(func() {
		defer func() {
			revoke(nil)
			h.mu.Lock()
			r.revoke = nil
			h.mu.Unlock()
		}()
		r.sub.obey(ctx, r.teller)
	})
}
