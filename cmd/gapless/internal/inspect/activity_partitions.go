package inspect

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// partitionRow is what a partition holds.
type partitionRow struct {
	PartitionID int   `db:"partition_id"`
	Events      int64 `db:"events"`
}

// unmarkedQuery says whether the log has no more without marks than a page counts: numbers of partitions are counted from the last mark on.
const unmarkedQuery = `
SELECT count(*) < $1
FROM (
    SELECT FROM eventstream.events AS e WHERE e.position > (SELECT l.marked_position FROM eventstream.log_state AS l WHERE l.lane = 0) LIMIT $1
) AS u`

const partitionsQuery = `
SELECT p.id AS partition_id, eventstream.partition_sequence_at(p.id, $1) AS events
FROM generate_series(0, eventstream.partition_count() - 1) AS p (id)
ORDER BY p.id`

const partitionsLatelyQuery = `
SELECT p.id AS partition_id, count(r.partition_id) AS events
FROM generate_series(0, eventstream.partition_count() - 1) AS p (id)
LEFT JOIN (
    SELECT e.partition_id, e.tenant_id FROM eventstream.events AS e ORDER BY e.position DESC LIMIT $1
) AS r ON r.partition_id = p.id AND ($2 = '' OR r.tenant_id = $2)
GROUP BY p.id
ORDER BY p.id`

// readPartitions gives how many events are in each partition: of one tenant, and where nobody keeps the marks, among the newest ones alone.
func (s *Server) readPartitions(ctx context.Context, tx pgx.Tx) (heatMap, error) {
	tenant := string(s.Tenant)
	if _, err := tx.Exec(ctx, keepPlans); err != nil {
		return heatMap{}, err
	}
	marked := false
	if err := tx.QueryRow(ctx, unmarkedQuery, recentEvents).Scan(&marked); err != nil {
		return heatMap{}, err
	}
	if !marked || tenant != "" {
		rows, err := list[partitionRow](ctx, tx, partitionsLatelyQuery, recentEvents, tenant)
		return newHeatMap(rows, false), err
	}
	var stable int64
	if err := tx.QueryRow(ctx, `SELECT coalesce(eventstream.stable_position(), 0)`).Scan(&stable); err != nil {
		return heatMap{}, err
	}
	rows, err := list[partitionRow](ctx, tx, partitionsQuery, stable)
	return newHeatMap(rows, true), err
}
