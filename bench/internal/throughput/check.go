package throughput

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// check compares a store with the number of events that were acknowledged.
type check func(ctx context.Context, acknowledged int64) error

// Queries for what must be there: the events, and what the heads say of them. Each gives the same number several times.
const (
	countBare = `SELECT count(*), count(DISTINCT event_id) FROM bare.events`
	// Heads that others than hot cases leave alone are not counted.
	countBareHeads = `SELECT count(*), (SELECT sum(version)::bigint FROM bare.heads) FROM bare.events`
	countCopied    = `SELECT count(*), count(DISTINCT event_id) FROM bare.copied`
	countGapless   = `
SELECT (SELECT count(*) FROM eventstream.events),
    (SELECT coalesce(sum(current_version), 0)::bigint FROM eventstream.streams WHERE watermark = current_version)`
)

// counts checks that a query finds the events that were there before and those that were acknowledged, no more and no less.
func counts(pool *pgxpool.Pool, query string, before int) check {
	return func(ctx context.Context, acknowledged int64) error {
		var events, again int64
		if err := pool.QueryRow(ctx, query).Scan(&events, &again); err != nil {
			return err
		}
		if want := int64(before) + acknowledged; events != want || again != want {
			return fmt.Errorf("%d events, and %d by the second count, after %d and %d acknowledged: the numbers mean nothing",
				events, again, before, acknowledged)
		}
		return nil
	}
}

// unchanged is for sides that read. Their calls have checked what came.
func unchanged(context.Context, int64) error { return nil }
