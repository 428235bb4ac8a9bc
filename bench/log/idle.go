package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	idleSubscriptions = 100
	idleSettle        = 12 * time.Second
	idleWatch         = 10 * time.Second
)

// measureIdle runs a hundred subscriptions that have nothing to do, and measures the CPU time of this process and of its backends.
func measureIdle(ctx context.Context, s *store) error {
	pool, repo, err := connect(ctx, s.dsn, "bench idle", nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	handler := eventstream.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil })
	for i := range idleSubscriptions {
		stop, err := start(ctx, repo, fmt.Sprintf("idle.%d", i), handler, eventstream.FromLatest)
		if err != nil {
			return err
		}
		defer stop()
	}
	time.Sleep(idleSettle) // the pauses of the poller grow with quiet
	connections := 0
	for began := time.Now(); time.Since(began) < idleWatch/2; time.Sleep(20 * time.Millisecond) {
		var n int
		err := s.pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bench idle'`).Scan(&n)
		if err != nil {
			return err
		}
		connections = max(connections, n)
	}
	before, ours, err := cpu(ctx, s)
	if err != nil {
		return err
	}
	time.Sleep(idleWatch)
	after, oursAfter, err := cpu(ctx, s)
	if err != nil {
		return err
	}
	fmt.Printf("idle, %d subscriptions: %d connections, %.2f %% of a core in the process, %.2f %% in their backends\n",
		idleSubscriptions, connections, 100*(oursAfter-ours).Seconds()/idleWatch.Seconds(), 100*(after-before).Seconds()/idleWatch.Seconds())
	return nil
}

// cpu returns the CPU time of the backends of the idle process, and of this process.
func cpu(ctx context.Context, s *store) (backends, here time.Duration, err error) {
	rows, err := s.pool.Query(ctx, `SELECT pg_read_file(format('/proc/%s/schedstat', pid)) FROM pg_stat_activity WHERE application_name = 'bench idle'`)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return 0, 0, err
		}
		spent, err := schedstat(text)
		if err != nil {
			return 0, 0, err
		}
		backends += spent
	}
	if err := rows.Err(); err != nil {
		return 0, 0, err
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, 0, err
	}
	for _, task := range tasks {
		text, err := os.ReadFile("/proc/self/task/" + task.Name() + "/schedstat")
		if err != nil {
			continue // a thread that ended
		}
		spent, err := schedstat(string(text))
		if err != nil {
			return 0, 0, err
		}
		here += spent
	}
	return backends, here, nil
}

// schedstat reads the time on a CPU, the first number.
func schedstat(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(n), err
}
