package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
)

// fill writes events of 200 bytes to many streams, through the gate.
const fill = `
INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
SELECT s.id, s.first + g.n, s.partition_id, 'order.placed', s.payload
FROM (
    SELECT 'order-' || i AS id, eventstream.partition_of('order-' || i, 32) AS partition_id,
        coalesce((SELECT h.watermark FROM eventstream.streams AS h WHERE h.stream_id = 'order-' || i), 0)::bigint AS first,
        jsonb_build_object('order', i, 'note', repeat('x', 170)) AS payload
    FROM generate_series($1::integer, $1 + 99) AS i
) AS s, generate_series(1, 100) AS g (n)
ORDER BY s.id, g.n`

// measureCatchUp measures how fast a log is read from its beginning to its end.
func measureCatchUp(ctx context.Context, s *store, events, rounds int) error {
	for i := 0; i*10_000 < events; i++ {
		if _, err := s.pool.Exec(ctx, fill, 1+100*(i%200)); err != nil {
			return err
		}
	}
	if _, err := s.pool.Exec(ctx, `VACUUM (ANALYZE) eventstream.events`); err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, `CREATE SCHEMA sums; CREATE TABLE sums.bare (position bigint, stream_id text, n bigint);
		CREATE TABLE sums.projected (position bigint, stream_id text, n bigint)`); err != nil {
		return err
	}
	cases := []struct {
		name    string
		against int
		run     func(context.Context, *store, int) (int64, error)
	}{
		{"bare SELECT, all columns, by pgx", 0, bareSelect},
		{"ReadLog", 0, readLog},
		{"subscription, empty EffectHandler", 0, catchUpEffect},
		{"subscription, empty TxHandler", 0, catchUpTx},
		{"4 shards, empty TxHandler", 0, catchUpShards},
		{"bare INSERT ... SELECT unnest, batches of 1000", 5, bareInsert},
		{"subscription, TxHandler writes a row an event", 5, catchUpWriting},
	}
	ratios, rates := make([][]float64, len(cases)), make([][]float64, len(cases))
	for round := range rounds {
		took := make([]float64, len(cases))
		for i, c := range cases {
			began := time.Now()
			n, err := c.run(ctx, s, round)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			took[i] = time.Since(began).Seconds() / float64(n)
			rates[i] = append(rates[i], 1/took[i])
			ratios[i] = append(ratios[i], took[c.against]/took[i])
		}
	}
	for i, c := range cases {
		fmt.Printf("catch-up of %d, %-50s %9.0f events/s   %.2f of %s\n", events, c.name+":", quantile(rates[i], 0.5), quantile(ratios[i], 0.5), cases[c.against].name)
	}
	return nil
}

// bareSelect reads all columns into Go values, as anyone would have to.
func bareSelect(ctx context.Context, s *store, _ int) (n int64, err error) {
	rows, err := s.pool.Query(ctx, `SELECT position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
		FROM eventstream.events ORDER BY position`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var e eventstream.Event
		var stream, tenant, kind string
		if err := rows.Scan(&e.Position, &e.Version, &e.ID, &e.OccurredAt, &e.RecordedAt, &e.PartitionID, &stream, &tenant, &kind,
			(*[]byte)(&e.Payload), &e.Data, (*[]byte)(&e.Metadata)); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

func readLog(ctx context.Context, s *store, _ int) (n int64, err error) {
	for _, err := range s.repo.ReadLog(ctx, eventstream.LogOptions{}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

func catchUpEffect(ctx context.Context, s *store, round int) (int64, error) {
	return catchUp(ctx, s, fmt.Sprint("effect.", round), 1, eventstream.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil }))
}

func catchUpTx(ctx context.Context, s *store, round int) (int64, error) {
	return catchUp(ctx, s, fmt.Sprint("tx.", round), 1, eventstream.TxHandler(func(context.Context, pgx.Tx, []eventstream.LogEvent) error { return nil }))
}

func catchUpShards(ctx context.Context, s *store, round int) (int64, error) {
	return catchUp(ctx, s, fmt.Sprint("shards.", round), 4, eventstream.TxHandler(func(context.Context, pgx.Tx, []eventstream.LogEvent) error { return nil }))
}

func catchUpWriting(ctx context.Context, s *store, round int) (int64, error) {
	return catchUp(ctx, s, fmt.Sprint("writing.", round), 1, eventstream.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		return insertRows(ctx, tx, "sums.projected", events)
	}))
}

// catchUp runs a subscription from the beginning until it has come to the end.
func catchUp(ctx context.Context, s *store, name string, shards int, handler eventstream.Handler) (int64, error) {
	head, err := s.repo.LogHead(ctx)
	if err != nil {
		return 0, err
	}
	sub, err := eventstream.NewSubscription(s.repo, name, handler, &eventstream.SubscriptionConfig{
		Shards: shards, OnError: func(err error) { fmt.Println("tried again:", err) },
	})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- sub.Run(ctx) }()
	for {
		err = sub.WaitFor(ctx, head.Position)
		if err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Millisecond) // it is being created
	}
	cancel()
	if failed := <-ended; failed != nil {
		return 0, failed
	}
	return head.Sequence, err
}

// bareInsert writes the rows that the projection writes, from memory, without reading an event.
func bareInsert(ctx context.Context, s *store, _ int) (int64, error) {
	head, err := s.repo.LogHead(ctx)
	if err != nil {
		return 0, err
	}
	events := make([]eventstream.LogEvent, 1000)
	n := int64(0)
	for ; n < head.Sequence; n += int64(len(events)) {
		for i := range events {
			events[i].Position, events[i].StreamID = n+int64(i), "order-12345"
		}
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return insertRows(ctx, tx, "sums.bare", events) })
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

func insertRows(ctx context.Context, tx pgx.Tx, table string, events []eventstream.LogEvent) error {
	positions, streams, ns := make([]int64, len(events)), make([]string, len(events)), make([]int64, len(events))
	for i := range events {
		positions[i], streams[i], ns[i] = events[i].Position, string(events[i].StreamID), int64(i)
	}
	_, err := tx.Exec(ctx, `INSERT INTO `+table+` SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])`, positions, streams, ns)
	return err
}
