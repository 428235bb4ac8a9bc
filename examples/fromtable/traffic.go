package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// fill writes years of history into the old table: orders of ten events.
func (s *service) fill(ctx context.Context, events int) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO public.order_events (order_no, version, kind, body, at)
		SELECT 'old-' || n / 10, n % 10 + 1, CASE n % 10 WHEN 0 THEN 'PLACED' WHEN 8 THEN 'PAID' WHEN 9 THEN 'SHIPPED' ELSE 'NOTED' END,
			jsonb_build_object('n', n), now() - interval '2 years' + n * interval '1 second'
		FROM generate_series(0, $1::int - 1) AS n
		ORDER BY n
		ON CONFLICT DO NOTHING`, events)
	return err
}

// traffic is what customers do meanwhile.
type traffic struct {
	// recorded counts what was confirmed to them.
	recorded atomic.Int64
	stop     chan struct{}
	group    *errgroup.Group
}

// begin has so many writers record events, of orders of their own and of one that they share.
func (s *service) begin(ctx context.Context, run string, writers int) *traffic {
	group, ctx := errgroup.WithContext(ctx)
	t := &traffic{stop: make(chan struct{}), group: group}
	for w := range writers {
		group.Go(func() error {
			for n := 0; ; n++ {
				select {
				case <-t.stop:
					return nil
				default:
				}
				order := fmt.Sprintf("new-%s-%d-%d", run, w, n/10)
				if n%7 == 0 {
					order = "shared-" + run
				}
				if err := s.record(ctx, order, "NOTED", map[string]int{"writer": w, "n": n}); err != nil {
					return err
				}
				t.recorded.Add(1)
			}
		})
	}
	return t
}

// end stops the writers.
func (t *traffic) end() error {
	close(t.stop)
	return t.group.Wait()
}
