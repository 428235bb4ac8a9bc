package inspect

import (
	"context"
	"html/template"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	// listPage is how many streams a page lists, and topRows how many lines a ranking has.
	listPage, topRows = 50, 10
	// recentEvents is how many of the newest events are looked at for what nothing counts.
	recentEvents = 5000
	// maxCounted is up to how many streams they are counted one by one.
	maxCounted = 10_000
)

// group is what streams of a category and tenant are.
type group struct {
	Category string `db:"category"`
	TenantID string `db:"tenant_id"`
	Streams  int64  `db:"streams"`
	Total    int64  `db:"total"`
}

// groups are streams by category and tenant.
type groups struct {
	Rows []group
	// Whole says that every stream was counted, else those that had an event lately.
	Whole bool
	// Streams is how many were counted.
	Streams int64
}

// ranked is a stream in a ranking.
type ranked struct {
	StreamID  string `db:"stream_id"`
	TenantID  string `db:"tenant_id"`
	Events    int64  `db:"events"`
	Watermark int64  `db:"watermark"`
}

// streamsView is the page of streams.
type streamsView struct {
	Filter  logFilter
	List    panel[[]head]
	After   string
	Next    string
	Groups  panel[groups]
	Busiest panel[[]ranked]
	Largest panel[[]ranked]
	Recent  int64
}

func (s *Server) showStreams(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	view := streamsView{Filter: s.filterOf(r.URL.Query()), After: r.URL.Query().Get("after"), Recent: recentEvents}
	view.List = fill(ctx, s, func(tx pgx.Tx) ([]head, error) { return listStreams(ctx, tx, view.Filter, view.After) })
	if len(view.List.Value) == listPage {
		view.Next = view.List.Value[listPage-1].StreamID
	}
	if view.After == "" && view.Filter.Query() == (logFilter{Tenant: string(s.Tenant), Partition: -1}).Query() {
		view.Groups = fill(ctx, s, func(tx pgx.Tx) (groups, error) { return s.countGroups(ctx, tx) })
		view.Busiest = fill(ctx, s, func(tx pgx.Tx) ([]ranked, error) {
			return list[ranked](ctx, tx, busiestQuery, recentEvents, string(s.Tenant), topRows)
		})
		view.Largest = fill(ctx, s, func(tx pgx.Tx) ([]ranked, error) {
			return list[ranked](ctx, tx, largestQuery, recentEvents, string(s.Tenant), topRows)
		})
	}
	s.render(w, r, http.StatusOK, "streams", "Streams", view)
}

// listStreams gives a page of streams. The streams of a category are one by its name and those with a - behind it.
func listStreams(ctx context.Context, tx pgx.Tx, f logFilter, after string) ([]head, error) {
	var from, to string
	if f.Category != "" {
		from, to = f.Category+"-", f.Category+"."
	}
	var partition *int
	if f.Partition >= 0 {
		partition = &f.Partition
	}
	const query = `
SELECT l.stream_id, l.partition_id, l.tenant_id, l.current_version, l.watermark, l.last_position, l.created_at, l.updated_at
FROM eventstream.list_streams($1, $2, $3, nullif($4, ''), nullif($5, ''), $6::integer) AS l
ORDER BY l.stream_id COLLATE "C"`
	rows, err := list[head](ctx, tx, query, listPage, after, from, to, f.Tenant, partition)
	if err != nil || f.Category == "" || after != "" {
		return rows, err
	}
	// The one without a -.
	alone, err := list[head](ctx, tx, headQuery, f.Category, f.Tenant)
	if err != nil || len(alone) == 0 || partition != nil && alone[0].PartitionID != *partition || strings.Contains(f.Category, "-") {
		return rows, err
	}
	return append(alone, rows[:min(len(rows), listPage-1)]...), nil
}

// StreamsQuery is the filter as the address of a page of streams has it.
func (v streamsView) StreamsQuery() template.URL { return v.Filter.Query() }

// groupsQuery counts first events, and groupsLatelyQuery the streams that the newest events are of.
const (
	groupsQuery = `
SELECT eventstream.category(f.stream_id) AS category, f.tenant_id, count(*) AS streams, sum(count(*)) OVER ()::bigint AS total
FROM (SELECT e.stream_id, e.tenant_id FROM eventstream.events AS e WHERE e.version = 1 AND ($1 = '' OR e.tenant_id = $1) LIMIT $2) AS f` + groupOrder
	groupsLatelyQuery = `
SELECT eventstream.category(f.stream_id) AS category, f.tenant_id, count(*) AS streams, sum(count(*)) OVER ()::bigint AS total
FROM (
    SELECT DISTINCT r.stream_id, r.tenant_id
    FROM (SELECT e.stream_id, e.tenant_id FROM eventstream.events AS e ORDER BY e.position DESC LIMIT $2) AS r
    WHERE $1 = '' OR r.tenant_id = $1
) AS f` + groupOrder
	groupOrder = `
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
LIMIT 100`
)

func (s *Server) countGroups(ctx context.Context, tx pgx.Tx) (g groups, err error) {
	if g.Rows, err = list[group](ctx, tx, groupsQuery, string(s.Tenant), maxCounted+1); err != nil {
		return g, err
	}
	if g.Whole = len(g.Rows) == 0 || g.Rows[0].Total <= maxCounted; !g.Whole {
		g.Rows, err = list[group](ctx, tx, groupsLatelyQuery, string(s.Tenant), recentEvents)
	}
	if len(g.Rows) > 0 {
		g.Streams = g.Rows[0].Total
	}
	return g, err
}

const recentCTE = `
WITH recent AS MATERIALIZED (
    SELECT e.stream_id, e.tenant_id FROM eventstream.events AS e ORDER BY e.position DESC LIMIT $1
)`

const busiestQuery = recentCTE + `, busy AS (
    SELECT r.stream_id, min(r.tenant_id) AS tenant_id, count(*) AS events
    FROM recent AS r WHERE $2 = '' OR r.tenant_id = $2
    GROUP BY r.stream_id ORDER BY 3 DESC, 1 LIMIT $3
)
SELECT b.stream_id, b.tenant_id, b.events, l.version AS watermark
FROM busy AS b
CROSS JOIN LATERAL (SELECT e.version FROM eventstream.events AS e WHERE e.stream_id = b.stream_id ORDER BY e.version DESC LIMIT 1) AS l
ORDER BY b.events DESC, b.stream_id`

// largestQuery asks the planner's statistics which streams have most events, besides those of the newest ones: no index is in order of size.
const largestQuery = recentCTE + `, known AS (
    (SELECT r.stream_id FROM recent AS r WHERE $2 = '' OR r.tenant_id = $2 GROUP BY r.stream_id ORDER BY count(*) DESC LIMIT 200)
    UNION
    SELECT u.stream_id
    FROM pg_catalog.pg_stats AS s
    CROSS JOIN unnest((s.most_common_vals::text)::text[]) AS u (stream_id)
    WHERE s.schemaname = 'eventstream' AND s.tablename = 'events' AND s.attname = 'stream_id'
)
SELECT k.stream_id, l.tenant_id, 0::bigint AS events, l.version AS watermark
FROM known AS k
CROSS JOIN LATERAL (
    SELECT e.version, e.tenant_id FROM eventstream.events AS e WHERE e.stream_id = k.stream_id ORDER BY e.version DESC LIMIT 1
) AS l
WHERE $2 = '' OR l.tenant_id = $2
ORDER BY l.version DESC, k.stream_id
LIMIT $3`
