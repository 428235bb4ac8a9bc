package inspect

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

const (
	// topRows is how many lines a ranking has, and maxGroups how many the table of categories.
	topRows, maxGroups = 10, 100
	// maxCounted is up to how many streams they are counted one by one.
	maxCounted = 10_000
	// maxCandidates is how many of the streams with new events may be among the largest.
	maxCandidates = 100
)

// group is what streams of a category and tenant are.
type group struct {
	Category string `db:"category"`
	TenantID string `db:"tenant_id"`
	Streams  int64  `db:"streams"`
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
	Events    int64  `db:"-"`
	Watermark int64  `db:"watermark"`
}

// recentStream is a stream with some of the newest events.
type recentStream struct {
	StreamID string `db:"stream_id"`
	TenantID string `db:"tenant_id"`
	Category string `db:"category"`
	Events   int64  `db:"events"`
}

// recentQuery reads the newest events once, for all that is said of them.
const recentQuery = `
SELECT r.stream_id, r.tenant_id, eventstream.category(r.stream_id) AS category, count(*) AS events
FROM (SELECT e.stream_id, e.tenant_id FROM eventstream.events AS e ORDER BY e.position DESC LIMIT $1) AS r
WHERE $2 = '' OR r.tenant_id = $2
GROUP BY r.stream_id, r.tenant_id
ORDER BY count(*) DESC, r.stream_id`

// fewQuery says whether there are no more first events than are counted, and groupsQuery counts them.
const (
	fewQuery    = `SELECT NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.version = 1 AND ($1 = '' OR e.tenant_id = $1) OFFSET $2)`
	groupsQuery = `
SELECT eventstream.category(e.stream_id) AS category, e.tenant_id, count(*) AS streams
FROM eventstream.events AS e
WHERE e.version = 1 AND ($1 = '' OR e.tenant_id = $1)
GROUP BY 1, 2`
)

// sizesOfQuery gives where streams stand: those given, and those that the planner's statistics have as the ones with most events, since no index is
// in order of size.
const sizesOfQuery = `
SELECT k.stream_id, l.tenant_id, l.version AS watermark
FROM (
    SELECT g.stream_id FROM unnest($1::text[]) AS g (stream_id)
    UNION
    SELECT u.stream_id
    FROM pg_catalog.pg_stats AS s
    CROSS JOIN unnest((s.most_common_vals::text)::text[]) AS u (stream_id)
    WHERE s.schemaname = 'eventstream' AND s.tablename = 'events' AND s.attname = 'stream_id'
) AS k
CROSS JOIN LATERAL (
    SELECT e.version, e.tenant_id FROM eventstream.events AS e WHERE e.stream_id = k.stream_id ORDER BY e.version DESC LIMIT 1
) AS l
WHERE $2 = '' OR l.tenant_id = $2
ORDER BY l.version DESC, k.stream_id`

// summarize reads what the page says of all streams.
func (s *Server) summarize(ctx context.Context, view *streamsView) {
	recent := fill(ctx, s, func(tx pgx.Tx) ([]recentStream, error) {
		return list[recentStream](ctx, tx, recentQuery, recentEvents, string(s.Tenant))
	})
	if recent.Problem != "" {
		view.Groups.Problem, view.Busiest.Problem, view.Largest.Problem = recent.Problem, recent.Problem, recent.Problem
		return
	}
	view.Groups = fill(ctx, s, func(tx pgx.Tx) (groups, error) { return s.countGroups(ctx, tx, recent.Value) })
	sizes := fill(ctx, s, func(tx pgx.Tx) ([]ranked, error) {
		var candidates []string
		for _, r := range recent.Value[:min(len(recent.Value), maxCandidates)] {
			candidates = append(candidates, r.StreamID)
		}
		return list[ranked](ctx, tx, sizesOfQuery, candidates, string(s.Tenant))
	})
	view.Busiest, view.Largest = panel[[]ranked]{Problem: sizes.Problem}, panel[[]ranked]{Problem: sizes.Problem}
	view.Largest.Value = sizes.Value[:min(len(sizes.Value), topRows)]
	view.Busiest.Value = busiest(recent.Value, sizes.Value)
}

// busiest are the streams with most of the newest events, and how many events each has.
func busiest(recent []recentStream, sizes []ranked) (rows []ranked) {
	for _, r := range recent[:min(len(recent), topRows)] {
		at := slices.IndexFunc(sizes, func(s ranked) bool { return s.StreamID == r.StreamID })
		if at >= 0 {
			rows = append(rows, ranked{r.StreamID, r.TenantID, r.Events, sizes[at].Watermark})
		}
	}
	return rows
}

// countGroups counts the streams of each category and tenant: all, or where there are many, those with new events.
func (s *Server) countGroups(ctx context.Context, tx pgx.Tx, recent []recentStream) (g groups, err error) {
	if err = tx.QueryRow(ctx, fewQuery, string(s.Tenant), maxCounted).Scan(&g.Whole); err != nil {
		return g, err
	}
	g.Rows = groupsOf(recent)
	if g.Whole {
		if g.Rows, err = list[group](ctx, tx, groupsQuery, string(s.Tenant)); err != nil {
			return g, err
		}
	}
	for _, row := range g.Rows {
		g.Streams += row.Streams
	}
	slices.SortFunc(g.Rows, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.Streams, a.Streams), cmp.Compare(a.Category, b.Category), cmp.Compare(a.TenantID, b.TenantID))
	})
	g.Rows = g.Rows[:min(len(g.Rows), maxGroups)]
	return g, nil
}

// groupsOf counts streams by category and tenant.
func groupsOf(recent []recentStream) (rows []group) {
	counts := map[group]int64{}
	for _, r := range recent {
		counts[group{Category: r.Category, TenantID: r.TenantID}]++
	}
	for of, n := range counts {
		rows = append(rows, group{of.Category, of.TenantID, n})
	}
	return rows
}
