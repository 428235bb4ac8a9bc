package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// newBoard is the read model: a row for each order, with where it stands.
func newBoard(repo *eventstream.Repository, events *codec.Registry) (*subscription.Projector, error) {
	return subscription.NewProjector(repo, subscription.Projection{
		Name: "board",
		Setup: func(ctx context.Context, tx pgx.Tx, schema string) error {
			_, err := tx.Exec(ctx, fmt.Sprintf(
				`CREATE TABLE %s.orders (id text PRIMARY KEY, status text NOT NULL, cents bigint NOT NULL, delays int NOT NULL DEFAULT 0)`, schema))
			return err
		},
		Apply: subscription.ApplyEach(func(ctx context.Context, tx pgx.Tx, schema string, e eventstream.LogEvent) error {
			return events.Each(e.Event, func(value any) error { return show(ctx, tx, schema, string(e.StreamID), value) })
		}),
		Config: &subscription.Config{Filter: eventstream.LogFilter{Category: "order"}},
	})
}

// show writes what an event means for the row of its order.
func show(ctx context.Context, tx pgx.Tx, schema, id string, value any) (err error) {
	switch e := value.(type) {
	case OrderPlaced:
		_, err = tx.Exec(ctx, fmt.Sprintf(`INSERT INTO %s.orders (id, status, cents) VALUES ($1, 'placed', $2)`, schema), id, e.Cents)
	case OrderPaid:
		err = move(ctx, tx, schema, id, "paid")
	case OrderCancelled:
		err = move(ctx, tx, schema, id, "cancelled")
	case OrderShipped:
		err = move(ctx, tx, schema, id, "shipped")
	case OrderDelayed:
		_, err = tx.Exec(ctx, fmt.Sprintf(`UPDATE %s.orders SET delays = delays + 1 WHERE id = $1`, schema), id)
	}
	return err
}

func move(ctx context.Context, tx pgx.Tx, schema, id, status string) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(`UPDATE %s.orders SET status = $2 WHERE id = $1`, schema), id, status)
	return err
}

// statuses counts the board's rows.
func statuses(ctx context.Context, pool *pgxpool.Pool) (map[string]int, error) {
	rows, err := pool.Query(ctx, `SELECT status, count(*)::int FROM board.orders GROUP BY status`)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	var status string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&status, &n}, func() error {
		counts[status] = n
		return nil
	})
	return counts, err
}

// differences counts the orders of which the board says something else than the events do.
func differences(ctx context.Context, pool *pgxpool.Pool) (n int, err error) {
	err = pool.QueryRow(ctx, `
		WITH told AS (
			SELECT stream_id AS id,
				CASE WHEN bool_or(type = 'order.shipped') THEN 'shipped' WHEN bool_or(type = 'order.cancelled') THEN 'cancelled'
					WHEN bool_or(type = 'order.paid') THEN 'paid' ELSE 'placed' END AS status,
				count(*) FILTER (WHERE type = 'order.delayed')::int AS delays
			FROM eventstream.events WHERE eventstream.category(stream_id) = 'order' GROUP BY stream_id
		)
		SELECT count(*)::int FROM told AS t FULL JOIN board.orders AS b USING (id)
		WHERE (t.status, t.delays) IS DISTINCT FROM (b.status, b.delays)`).Scan(&n)
	return n, err
}
