package inspect

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

const (
	// streamPage is how many events of a stream a page has, and maxWaiting how many of those that wait it draws.
	streamPage, maxWaiting = 50, 500
)

// head is where a stream stands.
type head struct {
	StreamID       string    `db:"stream_id"`
	PartitionID    int       `db:"partition_id"`
	TenantID       string    `db:"tenant_id"`
	CurrentVersion int64     `db:"current_version"`
	Watermark      int64     `db:"watermark"`
	LastPosition   int64     `db:"last_position"`
	CreatedAt      time.Time `db:"created_at"`
	UpdatedAt      time.Time `db:"updated_at"`
}

// waiting is an event that waits for versions before it.
type waiting struct {
	Version    int64     `db:"version"`
	Type       string    `db:"type"`
	EventID    string    `db:"event_id"`
	ReceivedAt time.Time `db:"received_at"`
}

// streamView is the page of a stream.
type streamView struct {
	head
	Rows     []logRow
	Waiting  []waiting
	Timeline timeline
	// Upto is the highest version of the page, and Older where the next page is, 0 if there is none.
	Upto, Older int64
	State       panel[stateView]
	// At is the version whose state is shown, and Compared the one that it is compared with.
	At, Compared int64
	BySQL        bool
}

const headQuery = `
SELECT g.stream_id, g.partition_id, g.tenant_id, g.current_version, g.watermark, g.last_position, g.created_at, g.updated_at
FROM eventstream.get_stream($1) AS g
WHERE $2 = '' OR g.tenant_id = $2`

const versionsQuery = `SELECT` + logColumns + ` FROM eventstream.events AS e
WHERE e.stream_id = $1 AND e.version <= $2 AND ($3 = '' OR e.tenant_id = $3) ORDER BY e.version DESC LIMIT $4`

const waitingQuery = `
SELECT p.version, p.type, p.event_id::text, p.received_at
FROM eventstream.pending_events AS p
WHERE p.stream_id = $1 AND ($2 = '' OR p.tenant_id = $2)
ORDER BY p.version LIMIT $3`

func (s *Server) showStream(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	view := streamView{BySQL: s.StateSQL != ""}
	err := s.read(r.Context(), func(tx pgx.Tx) (err error) {
		view, err = s.readStream(r.Context(), tx, view, query)
		return err
	})
	if s.missing(w, err, "There is no stream "+strconv.Quote(query.Get("id"))+" here.") {
		return
	}
	view.State = fill(r.Context(), s, func(tx pgx.Tx) (stateView, error) {
		return s.readStates(r.Context(), tx, view.StreamID, view.At, view.Compared)
	})
	s.render(w, r, http.StatusOK, "stream", "Stream "+output.Clean(view.StreamID), view)
}

func (s *Server) readStream(ctx context.Context, tx pgx.Tx, view streamView, query url.Values) (streamView, error) {
	var err error
	tenant := string(s.Tenant)
	if view.head, err = one[head](ctx, tx, headQuery, query.Get("id"), tenant); err != nil {
		return view, err
	}
	view.Upto = versionOf(query, "upto", view.Watermark, view.Watermark)
	if view.Rows, err = list[logRow](ctx, tx, versionsQuery, view.StreamID, view.Upto, tenant, streamPage); err != nil {
		return view, err
	}
	if len(view.Rows) == streamPage && view.Rows[streamPage-1].Version > 1 {
		view.Older = view.Rows[streamPage-1].Version - 1
	}
	if view.Waiting, err = list[waiting](ctx, tx, waitingQuery, view.StreamID, tenant, maxWaiting); err != nil {
		return view, err
	}
	view.At = versionOf(query, "at", view.Watermark, view.Watermark)
	view.Compared = versionOf(query, "compare", max(view.At-1, 0), view.Watermark)
	view.Timeline = newTimeline(view.head, view.Waiting, view.At, view.Compared)
	return view, nil
}

// versionOf reads a version from an address.
func versionOf(query url.Values, name string, otherwise, most int64) int64 {
	n, err := strconv.ParseInt(query.Get(name), 10, 64)
	if err != nil || n < 0 {
		return otherwise
	}
	return min(n, most)
}
