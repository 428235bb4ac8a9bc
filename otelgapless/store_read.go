package otelgapless

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
)

// Value is what a metric is.
type Value struct {
	// Metric is its name.
	Metric string
	// Value is the value, and Attributes say of what.
	Value      float64
	Attributes []attribute.KeyValue
}

// Beginner is a *pgxpool.Pool or a *pgx.Conn.
type Beginner interface {
	// BeginTx begins a transaction.
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// storeQuery gives every value in one statement: a row for each, with the subscription, the shard and the state that it is of. The columns of
// the views are what docs/schema has.
const storeQuery = `
WITH log AS MATERIALIZED (
    -- A row for each transaction that holds positions; the first holds the lowest.
    SELECT l.last_position, l.stable_position, l.behind, l.age FROM eventstream.audit_log AS l LIMIT 1
), shards AS MATERIALIZED (
    SELECT * FROM eventstream.audit_subscriptions
), projections AS MATERIALIZED (
    SELECT * FROM eventstream.audit_projections
)
SELECT v.metric, v.value, v.subscription, v.shard, v.state
FROM (
    SELECT m.metric, m.value::double precision AS value, '' AS subscription, -1 AS shard, '' AS state
    FROM log AS l
    CROSS JOIN LATERAL (VALUES
        ('gapless.log.position', l.last_position),
        ('gapless.log.stable_position', l.stable_position),
        ('gapless.log.unstable', l.behind),
        ('gapless.log.held', CASE WHEN l.behind > 0 THEN extract(epoch FROM l.age) ELSE 0 END),
        ('gapless.log.events', eventstream.sequence_at(l.stable_position)),
        ('gapless.log.size', pg_total_relation_size('eventstream.events'))
    ) AS m (metric, value)
    UNION ALL
    SELECT m.metric, m.value, '', -1, ''
    FROM (
        SELECT count(*) AS events, coalesce(extract(epoch FROM clock_timestamp() - min(e.received_at)), 0) AS age
        FROM eventstream.pending_events AS e
    ) AS p
    CROSS JOIN LATERAL (VALUES ('gapless.pending.events', p.events), ('gapless.pending.age', greatest(p.age, 0))) AS m (metric, value)
    UNION ALL
    SELECT m.metric, m.value, s.subscription, s.shard, ''
    FROM shards AS s
    CROSS JOIN LATERAL (VALUES
        ('gapless.subscription.lag.events', coalesce(s.lag_events, 0)),
        ('gapless.subscription.lag.time', s.lag_seconds),
        ('gapless.subscription.handled', s.events),
        ('gapless.subscription.parked', s.parked),
        ('gapless.subscription.tries', coalesce(s.tries, 0)),
        ('gapless.subscription.failing', coalesce(greatest(extract(epoch FROM clock_timestamp() - s.failing_since), 0), 0))
    ) AS m (metric, value)
    UNION ALL
    SELECT 'gapless.subscription.shards', count(s.shard), n.subscription, -1, k.state
    FROM (SELECT DISTINCT g.subscription FROM shards AS g) AS n
    CROSS JOIN (VALUES ('owned'), ('free'), ('owner is gone'), ('paused')) AS k (state)
    LEFT JOIN shards AS s ON s.subscription = n.subscription AND s.state = k.state
    GROUP BY n.subscription, k.state
    UNION ALL
    SELECT 'gapless.projection.unfit', CASE WHEN p.problem IS NULL THEN 0 ELSE 1 END, p.projection, -1, '' FROM projections AS p
    UNION ALL
    SELECT 'gapless.projection.rebuilds', CASE WHEN p.rebuild_state = k.state THEN 1 ELSE 0 END, p.projection, -1, k.state
    FROM projections AS p
    CROSS JOIN (VALUES ('running'), ('interrupted')) AS k (state)
    UNION ALL
    SELECT 'gapless.projection.rebuild.lag', greatest(p.last_position - p.rebuild_position, 0), p.projection, -1, ''
    FROM projections AS p WHERE p.rebuild IS NOT NULL
) AS v
WHERE v.value IS NOT NULL
ORDER BY v.metric, v.subscription, v.shard, v.state`

// ReadStore reads all metrics of SourceStore from the database, by one statement. ObserveStore and the command gapless metrics do.
func ReadStore(ctx context.Context, db Beginner) ([]Value, error) {
	var values []Value
	// READ COMMITTED, whatever the default: the stable position of an older snapshot says nothing.
	err := pgx.BeginTxFunc(ctx, db, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, storeQuery)
		if err != nil {
			return err
		}
		values, err = pgx.CollectRows(rows, valueOf)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the metrics of the store: %w", err)
	}
	return values, nil
}

func valueOf(row pgx.CollectableRow) (v Value, err error) {
	var subscription, state string
	var shard int
	if err = row.Scan(&v.Metric, &v.Value, &subscription, &shard, &state); err != nil {
		return v, err
	}
	for _, name := range metricOf(v.Metric).Attributes {
		value := state
		switch name {
		case attrSubscription:
			value = subscription
		case attrShard:
			value = strconv.Itoa(shard)
		}
		v.Attributes = append(v.Attributes, attribute.String(name, value))
	}
	return v, nil
}
