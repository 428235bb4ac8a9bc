package inspect

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

const (
	// buckets is how many bars a chart of appends has.
	buckets = 60
	// maxTail is how many of the newest events are counted one by one.
	maxTail = 10_000
)

// period is a time that a chart of appends covers.
type period struct {
	Name, Label string
	Length      time.Duration
}

var periods = [...]period{
	{"hour", "1 hour", time.Hour}, {"day", "1 day", 24 * time.Hour}, {"month", "30 days", 30 * 24 * time.Hour}, {"year", "1 year", 365 * 24 * time.Hour},
}

// activityView is the page of what is written, and where to.
type activityView struct {
	Periods    []period
	Period     string
	Rate       panel[rate]
	Sizes      panel[bars]
	Partitions panel[heatMap]
	Recent     int64
	Sampled    int64
}

func (s *Server) showActivity(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	chosen := periods[0]
	for _, p := range periods {
		if p.Name == r.URL.Query().Get("period") {
			chosen = p
		}
	}
	view := activityView{Periods: periods[:], Period: chosen.Name, Recent: recentEvents, Sampled: sampledSizes}
	view.Rate = fill(ctx, s, func(tx pgx.Tx) (rate, error) { return s.readRate(ctx, tx, chosen) })
	view.Sizes = fill(ctx, s, func(tx pgx.Tx) (bars, error) { return s.readSizes(ctx, tx) })
	view.Partitions = fill(ctx, s, func(tx pgx.Tx) (heatMap, error) { return s.readPartitions(ctx, tx) })
	s.render(w, r, http.StatusOK, "activity", "Activity", view)
}

// rate is how many events were appended over time.
type rate struct {
	Chart bars
	Total int64
	// Exact says that each event was counted; else numbers between two marks of the log, a thousand events apart, are spread evenly.
	Exact bool
	// Since is from when on the counting is complete; zero if that is the whole period.
	Since time.Time
}

// tailQuery counts the newest events one by one, in bars by time: those behind the last mark, as far as a page looks.
const tailQuery = `
SELECT
    round(extract(epoch FROM b.at - $2::timestamptz)::double precision / $3::double precision)::integer AS bucket, b.events, b.first, b.shown
FROM (
    SELECT date_bin(make_interval(secs => $3), t.recorded_at, $2) AS at, count(*) AS events, min(t.recorded_at) AS first,
        count(*) FILTER (WHERE $5 = '' OR t.tenant_id = $5) AS shown
    FROM (
        SELECT e.recorded_at, e.tenant_id
        FROM eventstream.events AS e
        WHERE e.position > $1
        ORDER BY e.position DESC LIMIT $4
    ) AS t
    GROUP BY 1
) AS b`

// marksQuery says how many events there were at the border of each bar, by the marks before and behind it.
const marksQuery = `
SELECT
    b.n AS bucket,
    coalesce(p.sequence, 0) + CASE WHEN n.sequence IS NULL THEN 0
        ELSE (n.sequence - coalesce(p.sequence, 0)) * CASE WHEN p.recorded_at IS NULL OR n.recorded_at <= p.recorded_at THEN 0
            ELSE extract(epoch FROM b.at - p.recorded_at) / extract(epoch FROM n.recorded_at - p.recorded_at) END END::double precision AS events
FROM (SELECT g.n, $1::timestamptz + g.n * make_interval(secs => $2) AS at FROM generate_series(0, $3) AS g (n)) AS b
LEFT JOIN LATERAL (
    SELECT m.sequence, m.recorded_at FROM eventstream.log_marks AS m WHERE m.recorded_at <= b.at AND m.recorded_at > '-infinity' ORDER BY m.recorded_at DESC, m.position DESC LIMIT 1
) AS p ON true
LEFT JOIN LATERAL (
    SELECT m.sequence, m.recorded_at FROM eventstream.log_marks AS m WHERE m.recorded_at > b.at ORDER BY m.recorded_at, m.position LIMIT 1
) AS n ON true
ORDER BY b.n`

// tailRow is a bar of the newest events.
type tailRow struct {
	Bucket int       `db:"bucket"`
	Events int64     `db:"events"`
	First  time.Time `db:"first"`
	Shown  int64     `db:"shown"`
}

// markRow is how many events there were at the border of a bar.
type markRow struct {
	Bucket int     `db:"bucket"`
	Events float64 `db:"events"`
}

func (s *Server) readRate(ctx context.Context, tx pgx.Tx, p period) (result rate, err error) {
	var end time.Time
	var marked int64
	err = tx.QueryRow(ctx, `SELECT clock_timestamp(), coalesce((SELECT m.position FROM eventstream.log_marks AS m ORDER BY m.position DESC LIMIT 1), 0)`).Scan(&end, &marked)
	if err != nil {
		return result, err
	}
	start, width := end.Add(-p.Length), p.Length.Seconds()/buckets
	if s.Tenant != "" {
		marked = 0 // marks count the events of all
	}
	tail, err := list[tailRow](ctx, tx, tailQuery, marked, start, width, maxTail, string(s.Tenant))
	if err != nil {
		return result, err
	}
	counts := make([]float64, buckets)
	looked, oldest := int64(0), end
	for _, row := range tail {
		looked += row.Events
		if row.First.Before(oldest) {
			oldest = row.First
		}
		if row.Bucket >= 0 {
			counts[min(row.Bucket, buckets-1)] += float64(row.Shown)
		}
	}
	result.Exact = true
	if looked == maxTail && oldest.After(start) {
		result.Since = oldest
	}
	if marked > 0 {
		var marks []markRow
		if marks, err = list[markRow](ctx, tx, marksQuery, start, width, buckets); err != nil {
			return result, err
		}
		for i := 1; i < len(marks); i++ {
			counts[i-1] += max(marks[i].Events-marks[i-1].Events, 0)
			result.Exact = result.Exact && marks[i].Events == marks[i-1].Events
		}
	}
	result.Chart = timeBars(counts, start, p)
	for _, bar := range result.Chart.Bars {
		result.Total += bar.Value
	}
	return result, nil
}

// sampledSizes is of how many of the newest events the sizes are looked at.
const sampledSizes = 5000

const sizesQuery = `
SELECT width_bucket(t.bytes - 1, (SELECT array_agg(1::bigint << g.n ORDER BY g.n) FROM generate_series(0, 30) AS g (n))) AS bucket, count(*) AS events
FROM (
    SELECT pg_column_size(e.payload)::bigint + coalesce(octet_length(e.data), 0) AS bytes, e.tenant_id
    FROM eventstream.events AS e
    ORDER BY e.position DESC LIMIT $1
) AS t
WHERE $2 = '' OR t.tenant_id = $2
GROUP BY 1
ORDER BY 1`

// sizeRow is how many events have a size between two powers of two.
type sizeRow struct {
	Bucket int   `db:"bucket"`
	Events int64 `db:"events"`
}

func (s *Server) readSizes(ctx context.Context, tx pgx.Tx) (bars, error) {
	rows, err := list[sizeRow](ctx, tx, sizesQuery, sampledSizes, string(s.Tenant))
	if err != nil || len(rows) == 0 {
		return bars{}, err
	}
	var values []bar
	next := 0
	for exponent := rows[0].Bucket; exponent <= rows[len(rows)-1].Bucket; exponent++ {
		b := bar{Label: "up to " + output.Bytes(int64(1)<<exponent), Short: shortSize(exponent)}
		if rows[next].Bucket == exponent {
			b.Value = rows[next].Events
			next++
		}
		values = append(values, b)
	}
	return newBars(values), nil
}
