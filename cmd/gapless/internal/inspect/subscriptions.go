package inspect

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// maxParked bounds how many parked events a page lists.
const maxParked = 100

// subscriptionRow is a subscription with its shards.
type subscriptionRow struct {
	Name      string    `db:"name"`
	Delivery  string    `db:"delivery"`
	Paused    bool      `db:"paused"`
	Filter    string    `db:"filter"`
	CreatedAt time.Time `db:"created_at"`
	// Replays says that the page can replay what is parked.
	Replays bool       `db:"-"`
	Shards  []shardRow `db:"-"`
	Parked  int64      `db:"-"`
}

// shardRow is how far a shard is.
type shardRow struct {
	subscription.ShardLag
	// Key names the shard in the page.
	Key     string
	Seconds float64
}

// parkedRow is an event that a subscription has put aside.
type parkedRow struct {
	Subscription string    `db:"subscription"`
	Position     int64     `db:"position"`
	StreamID     string    `db:"stream_id"`
	Version      int64     `db:"version"`
	Type         string    `db:"type"`
	Tries        int       `db:"tries"`
	ParkedAt     time.Time `db:"parked_at"`
	Error        string    `db:"error"`
}

// projectionRow is a projection, and how far a rebuild of it is.
type projectionRow struct {
	Name         string     `db:"projection"`
	Problem      string     `db:"problem"`
	Rebuild      string     `db:"rebuild"`
	RebuildState string     `db:"rebuild_state"`
	Position     int64      `db:"rebuild_position"`
	Last         int64      `db:"last_position"`
	Since        *time.Time `db:"rebuild_since"`
	// Request is what became of the last request for a rebuild; empty if there was none.
	Request      string     `db:"request_state"`
	RequestedBy  string     `db:"requested_by"`
	RequestedAt  *time.Time `db:"requested_at"`
	RequestError string     `db:"request_error"`
	Processes    int64      `db:"processes"`
}

// subscriptionsView is the page of subscriptions.
type subscriptionsView struct {
	Subscriptions panel[[]subscriptionRow]
	Parked        panel[[]parkedRow]
	Projections   panel[[]projectionRow]
	MaxParked     int64
	CanReplay     bool
}

func (s *Server) showSubscriptions(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	view := subscriptionsView{MaxParked: maxParked, CanReplay: s.Replay != nil}
	view.Subscriptions = fill(ctx, s, func(tx pgx.Tx) ([]subscriptionRow, error) { return s.readSubscriptions(ctx, tx) })
	view.Parked = fill(ctx, s, func(tx pgx.Tx) ([]parkedRow, error) {
		return list[parkedRow](ctx, tx, parkedQuery, string(s.Tenant), maxParked)
	})
	view.Projections = fill(ctx, s, func(tx pgx.Tx) ([]projectionRow, error) {
		return list[projectionRow](ctx, tx, projectionsQuery, string(s.Tenant))
	})
	s.render(w, r, http.StatusOK, "subscriptions", "Subscriptions", view)
}

// Who may see one tenant sees the subscriptions that read its events.
const ofTenant = `($1 = '' OR coalesce(s.filter ->> 'tenant', $1) = $1)`

const subscriptionsQuery = `
SELECT s.name, s.delivery, s.paused, s.filter::text, s.created_at
FROM eventstream.subscriptions AS s
WHERE s.rebuilds IS NULL AND ` + ofTenant + `
ORDER BY s.name`

const parkedQuery = `
SELECT k.subscription, k.position, k.stream_id, k.version, coalesce(e.type, '') AS type, k.tries, k.parked_at, left(k.error, 1000) AS error
FROM eventstream.parked_events AS k
LEFT JOIN eventstream.events AS e ON e.position = k.position
WHERE $1 = '' OR e.tenant_id = $1
ORDER BY k.subscription, k.position
LIMIT $2`

const projectionsQuery = `
SELECT p.projection, coalesce(p.problem, '') AS problem, coalesce(p.rebuild, '') AS rebuild, coalesce(p.rebuild_state, '') AS rebuild_state,
    coalesce(p.rebuild_position, 0) AS rebuild_position, coalesce(p.last_position, 0) AS last_position, p.rebuild_since,
    coalesce(p.request_state, '') AS request_state, coalesce(p.requested_by, '') AS requested_by, p.requested_at,
    coalesce(p.request_error, '') AS request_error, p.processes
FROM eventstream.audit_projections AS p
JOIN eventstream.subscriptions AS s ON s.name = p.projection
WHERE ` + ofTenant + `
ORDER BY p.projection`

func (s *Server) readSubscriptions(ctx context.Context, tx pgx.Tx) ([]subscriptionRow, error) {
	rows, err := list[subscriptionRow](ctx, tx, subscriptionsQuery, string(s.Tenant))
	if err != nil || len(rows) == 0 {
		return rows, err
	}
	if _, err := tx.Exec(ctx, keepPlans); err != nil {
		return nil, err
	}
	lags, err := subscription.List(ctx, s.repo.WithTx(tx))
	if err != nil {
		return nil, err
	}
	if err := s.hideOthers(ctx, tx, lags); err != nil {
		return nil, err
	}
	for i := range rows {
		for _, lag := range lags {
			if lag.Subscription == rows[i].Name {
				rows[i].Shards = append(rows[i].Shards, newShardRow(lag))
				rows[i].Parked += lag.Parked
			}
		}
		rows[i].Replays = s.Replay != nil && s.Tenant == "" && rows[i].Delivery == "acknowledged" && rows[i].Parked > 0
	}
	return rows, nil
}

func newShardRow(lag subscription.ShardLag) shardRow {
	return shardRow{ShardLag: lag, Key: lag.Subscription + "/" + strconv.Itoa(lag.Shard), Seconds: lag.Age.Seconds()}
}

// hideOthers removes what handlers said of events of other tenants.
func (s *Server) hideOthers(ctx context.Context, tx pgx.Tx, lags []subscription.ShardLag) error {
	if s.Tenant == "" {
		return nil
	}
	for i := range lags {
		mine := false
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = $1 AND e.tenant_id = $2)`,
			lags[i].FailingPosition, string(s.Tenant)).Scan(&mine)
		if err != nil {
			return err
		}
		if !mine && lags[i].LastError != "" {
			lags[i].LastError, lags[i].FailingPosition = "it fails on an event of another tenant", 0
		}
		err = tx.QueryRow(ctx, `
			SELECT count(*)
			FROM eventstream.parked_events AS k
			JOIN eventstream.events AS e ON e.position = k.position
			WHERE k.subscription = $1 AND e.tenant_id = $2 AND e.partition_id % $3 = $4`,
			lags[i].Subscription, string(s.Tenant), lags[i].Shards, lags[i].Shard).Scan(&lags[i].Parked)
		if err != nil {
			return err
		}
	}
	return nil
}
