package inspect

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// logPage is how many events a page of the log has.
	logPage = 50
	// firstWindow is how many positions are looked through first; each next window is larger, as long as a page is not full and time allows.
	firstWindow, windowGrowth = 4000, 4
	searchTime                = 120 * time.Millisecond
)

// logRow is an event as a line of the log.
type logRow struct {
	Position    int64     `db:"position"`
	Version     int64     `db:"version"`
	StreamID    string    `db:"stream_id"`
	TenantID    string    `db:"tenant_id"`
	PartitionID int       `db:"partition_id"`
	Type        string    `db:"type"`
	RecordedAt  time.Time `db:"recorded_at"`
	Preview     string    `db:"preview"`
	PayloadSize int64     `db:"payload_size"`
	DataSize    int64     `db:"data_size"`
}

// logColumns show nothing of a payload that would have to be fetched from elsewhere than the row.
const logColumns = `
    e.position, e.version, e.stream_id, e.tenant_id, e.partition_id, e.type, e.recorded_at,
    CASE WHEN pg_column_size(e.payload) <= 2000 THEN left(e.payload::text, 160) ELSE '' END AS preview,
    pg_column_size(e.payload)::bigint AS payload_size, coalesce(octet_length(e.data), -1)::bigint AS data_size`

const logWhere = `
WHERE e.position > $1 AND e.position <= $2
    AND ($3 = '' OR e.type = $3) AND ($4 = '' OR eventstream.category(e.stream_id) = $4) AND ($5 = '' OR e.tenant_id = $5)
    AND ($6 = '' OR e.stream_id = $6) AND ($7 < 0 OR e.partition_id = $7)`

const (
	olderQuery = `SELECT` + logColumns + ` FROM eventstream.events AS e` + logWhere + ` ORDER BY e.position DESC LIMIT $8`
	newerQuery = `SELECT` + logColumns + ` FROM eventstream.events AS e` + logWhere + ` ORDER BY e.position LIMIT $8`
)

// logFilter selects events of the log.
type logFilter struct {
	Type, Category, Tenant, Stream string
	// Partition is -1 for all.
	Partition int
}

// filterOf reads a filter from an address. A tenant that the server is restricted to is no matter of the address.
func (s *Server) filterOf(query url.Values) logFilter {
	f := logFilter{
		Type: strings.TrimSpace(query.Get("type")), Category: strings.TrimSpace(query.Get("category")),
		Tenant: strings.TrimSpace(query.Get("tenant")), Stream: query.Get("stream"), Partition: -1,
	}
	if id, err := strconv.Atoi(query.Get("partition")); err == nil && id >= 0 {
		f.Partition = id
	}
	if s.Tenant != "" {
		f.Tenant = string(s.Tenant)
	}
	return f
}

// PartitionText is the partition as the form has it.
func (f logFilter) PartitionText() string {
	if f.Partition < 0 {
		return ""
	}
	return strconv.Itoa(f.Partition)
}

// Query is the filter as an address has it. Its type says that it is escaped already: a template would escape it once more.
func (f logFilter) Query() template.URL {
	values := url.Values{}
	for name, value := range map[string]string{
		"type": f.Type, "category": f.Category, "tenant": f.Tenant, "stream": f.Stream, "partition": f.PartitionText(),
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return template.URL(values.Encode())
}

func (f logFilter) args(after, until, limit int64) []any {
	return []any{after, until, f.Type, f.Category, f.Tenant, f.Stream, f.Partition, limit}
}

// logView is a page of the log.
type logView struct {
	Filter logFilter
	Stable int64
	Rows   []logRow
	// From is the lowest position that was looked at, 0 if all were.
	From int64
	// Before is where the page starts, 0 at the end of the log; Older is where the next page does, 0 if there is none.
	Before, Older int64
}

func (s *Server) showLog(w http.ResponseWriter, r *http.Request) {
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	filter := s.filterOf(r.URL.Query())
	view := fill(r.Context(), s, func(tx pgx.Tx) (logView, error) { return readLog(r.Context(), tx, filter, before) })
	view.Value.Filter = filter
	s.render(w, r, http.StatusOK, "log", "Log", view)
}

// readLog reads a page, backwards from a position or from the end of what is stable.
func readLog(ctx context.Context, tx pgx.Tx, filter logFilter, before int64) (view logView, err error) {
	view.Before = max(before, 0)
	// In a statement of its own: what is read with it could still miss an event below it.
	if err := tx.QueryRow(ctx, `SELECT coalesce(eventstream.stable_position(), 0)`).Scan(&view.Stable); err != nil {
		return view, err
	}
	until := view.Stable
	if before > 0 {
		until = min(until, before-1)
	}
	start := time.Now()
	for window := int64(firstWindow); until > 0 && len(view.Rows) < logPage; window *= windowGrowth {
		began := time.Now()
		after := max(until-window, 0)
		rows, err := list[logRow](ctx, tx, olderQuery, filter.args(after, until, int64(logPage-len(view.Rows)))...)
		if err != nil {
			return view, err
		}
		view.Rows = append(view.Rows, rows...)
		until = after
		if time.Since(start)+windowGrowth*time.Since(began) > searchTime {
			break
		}
	}
	view.From = until
	if len(view.Rows) == logPage {
		view.Older = view.Rows[logPage-1].Position
	} else if until > 0 {
		view.Older = until + 1
	}
	return view, nil
}
