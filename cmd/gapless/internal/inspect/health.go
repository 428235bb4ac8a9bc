package inspect

import (
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

// holder is a transaction that holds positions, or none if Held is 0.
type holder struct {
	Last        int64      `db:"last_position"`
	Stable      int64      `db:"stable_position"`
	Behind      int64      `db:"behind"`
	Kept        int64      `db:"kept_position"`
	KeptAt      *time.Time `db:"kept_at"`
	Held        int64      `db:"held_position"`
	PID         int        `db:"pid"`
	Application string     `db:"application"`
	Seconds     float64    `db:"seconds"`
	State       string     `db:"state"`
	Query       string     `db:"query"`
}

// hole is a stream that waits for versions.
type hole struct {
	StreamID string    `db:"stream_id"`
	First    int64     `db:"first_missing"`
	Waiting  int64     `db:"waiting"`
	Missing  int64     `db:"missing"`
	Since    time.Time `db:"since"`
	Problem  string    `db:"problem"`
}

// healthView is the page of how the store is.
type healthView struct {
	Log   panel[[]holder]
	Holes panel[[]hole]
	Audit auditView
}

const holdersQuery = `
SELECT coalesce(l.last_position, 0) AS last_position, coalesce(l.stable_position, 0) AS stable_position, coalesce(l.behind, 0) AS behind,
    coalesce(l.kept_position, 0) AS kept_position, CASE WHEN isfinite(l.kept_at) THEN l.kept_at END AS kept_at,
    coalesce(l.held_position, 0) AS held_position, coalesce(l.pid, 0) AS pid, coalesce(l.application, '') AS application,
    coalesce(extract(epoch FROM l.age), 0)::double precision AS seconds, coalesce(l.state, '') AS state,
    CASE WHEN $1 = '' THEN left(regexp_replace(coalesce(l.query, ''), '\s+', ' ', 'g'), 300) ELSE '' END AS query
FROM eventstream.audit_log AS l
LIMIT 50`

const holesQuery = `
SELECT p.stream_id, p.first_missing, p.waiting, p.missing, p.since, p.problem
FROM eventstream.audit_pending AS p
WHERE $1 = '' OR EXISTS (SELECT FROM eventstream.pending_events AS w WHERE w.stream_id = p.stream_id AND w.tenant_id = $1)
ORDER BY p.since
LIMIT 100`

func (s *Server) showHealth(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	var view healthView
	view.Log = fill(ctx, s, func(tx pgx.Tx) ([]holder, error) { return list[holder](ctx, tx, holdersQuery, string(s.Tenant)) })
	view.Holes = fill(ctx, s, func(tx pgx.Tx) ([]hole, error) { return list[hole](ctx, tx, holesQuery, string(s.Tenant)) })
	view.Audit = s.audit.view()
	s.render(w, r, http.StatusOK, "health", "Health", view)
}
