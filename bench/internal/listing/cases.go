package listing

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// pageSize is how many streams a page has.
	pageSize = 1000
	// recent is how many of the streams that changed last are asked for.
	recent = 20

	hasRecentStreams = `
SELECT EXISTS (
    SELECT FROM pg_proc AS p WHERE p.proname = 'recent_streams' AND p.pronamespace = 'eventstream'::regnamespace
)`
	selectRecentStreams = `SELECT r.* FROM eventstream.recent_streams($1) AS r`
	selectRecentHeads   = `SELECT s.* FROM eventstream.streams AS s ORDER BY s.last_position DESC LIMIT $1`
)

// target is what a case is asked of: a session with a repository.
type target struct {
	handle eventstream.Handle
	repo   *eventstream.Repository
}

// listCase asks once, and says how many streams that gave or counted.
type listCase struct {
	name string
	ask  func(context.Context, target) (int, error)
}

// cases gives what is measured. A store without a function for the streams that changed last is asked for them by a sort.
func cases(recentStreams bool) []listCase {
	list := func(name string, filter func() eventstream.StreamFilter) listCase {
		return listCase{"list 1000 " + name, func(ctx context.Context, t target) (int, error) { return page(ctx, t.repo, filter()) }}
	}
	count := func(name string, filter func() eventstream.StreamFilter) listCase {
		return listCase{"count " + name, func(ctx context.Context, t target) (int, error) {
			n, err := t.repo.CountStreams(ctx, filter())
			return int(n), err
		}}
	}
	all := func() eventstream.StreamFilter { return eventstream.StreamFilter{} }
	changed := selectRecentHeads
	if recentStreams {
		changed = selectRecentStreams
	}
	return []listCase{
		list("of all", all), list("of a tenant", ofTenant), list("of a partition", ofPartition), list("of a category", ofCategory),
		count("all", all), count("of a tenant", ofTenant), count("of a partition", ofPartition), count("of a category", ofCategory),
		{"20 changed last", func(ctx context.Context, t target) (int, error) { return rows(ctx, t.handle, changed, recent) }},
		{"totals of each partition", func(ctx context.Context, t target) (int, error) {
			stats, err := t.repo.PartitionStats(ctx)
			return len(stats), err
		}},
	}
}

func ofTenant() eventstream.StreamFilter {
	return eventstream.StreamFilter{Tenant: eventstream.TenantID(fmt.Sprintf("tenant-%d", rand.N(tenants)))}
}

func ofPartition() eventstream.StreamFilter {
	partition := rand.N(eventstream.DefaultPartitionCount)
	return eventstream.StreamFilter{Partition: &partition}
}

func ofCategory() eventstream.StreamFilter {
	return eventstream.StreamFilter{Category: categories()[rand.N(len(categories()))]}
}

// page asks for a page that begins anywhere but in the last part, where there would not be enough.
func page(ctx context.Context, repo *eventstream.Repository, filter eventstream.StreamFilter) (n int, err error) {
	id := uuid.New()
	category := filter.Category
	if category == "" {
		category = categories()[rand.N(len(categories())-2)]
	}
	id[0] /= 2
	filter.After, filter.Limit = eventstream.StreamID(category+"-"+id.String()), pageSize
	for _, err := range repo.Streams(ctx, filter) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// rows reads all rows of a query.
func rows(ctx context.Context, handle eventstream.Handle, query string, arguments ...any) (int, error) {
	all, err := handle.Query(ctx, query, arguments...)
	if err != nil {
		return 0, err
	}
	read, err := pgx.CollectRows(all, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	return len(read), err
}
