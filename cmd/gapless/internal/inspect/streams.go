package inspect

import (
	"context"
	"html/template"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	// listPage is how many streams a page lists.
	listPage = 50
	// recentEvents is how many of the newest events are looked at for what nothing counts.
	recentEvents = 5000
)

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
		s.summarize(ctx, &view)
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
