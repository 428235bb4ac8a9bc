package reading

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/bench/internal/report"
	"github.com/gaplesspg/gapless/bench/internal/schedstat"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// idleSubscriptions is how many subscriptions have nothing to do.
const idleSubscriptions = 100

// measureIdle runs a hundred subscriptions that have nothing to do, and measures the CPU time of this process and of its backends.
func (b *benchmark) measureIdle(ctx context.Context) error {
	p, err := b.newProcess(ctx, "bench idle", nil)
	if err != nil {
		return err
	}
	defer p.pool.Close()
	handler := subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil })
	for i := range idleSubscriptions {
		stop, err := b.start(ctx, p.repo, fmt.Sprintf("idle.%d", i), handler)
		if err != nil {
			return err
		}
		defer stop()
	}
	time.Sleep(b.settle) // the pauses of the poller grow with quiet
	used := 0
	for began := time.Now(); time.Since(began) < b.watch/2; time.Sleep(20 * time.Millisecond) {
		var n int
		err := b.Raw.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bench idle'`).Scan(&n)
		if err != nil {
			return err
		}
		used = max(used, n)
	}
	before, ours, err := b.cpu(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	time.Sleep(b.watch)
	after, oursAfter, err := b.cpu(ctx)
	if err != nil {
		return err
	}
	share := func(spent time.Duration) float64 { return spent.Seconds() / time.Since(began).Seconds() }
	r := result{Case: "idle", Here: report.Round(share(oursAfter-ours), 5), Backends: report.Round(share(after-before), 5)}
	b.results = append(b.results, r)
	t := report.Table{
		Title:   "Idle subscriptions",
		Columns: []string{"subscriptions", "connections", "% of a core here", "% of a core in backends"},
	}
	t.Add(strconv.Itoa(idleSubscriptions), strconv.Itoa(used), report.Number(100*r.Here, 2), report.Number(100*r.Backends, 2))
	b.tables = append(b.tables, t)
	return nil
}

// cpu returns the CPU time of the backends of the idle process, and of this process.
func (b *benchmark) cpu(ctx context.Context) (backends, here time.Duration, err error) {
	rows, err := b.Raw.Query(ctx, `SELECT pg_read_file(format('/proc/%s/schedstat', pid))
		FROM pg_stat_activity WHERE application_name = 'bench idle'`)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return 0, 0, err
		}
		spent, err := schedstat.Parse(text)
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
		spent, err := schedstat.Parse(string(text))
		if err != nil {
			return 0, 0, err
		}
		here += spent
	}
	return backends, here, nil
}
