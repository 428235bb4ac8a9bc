package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkTimersFire fires timers that are all due, each of which appends an event and writes a row, in batches of one and of twenty.
func BenchmarkTimersFire(b *testing.B) {
	for _, size := range []int{1, 20} {
		b.Run(fmt.Sprint("batches of ", size), func(b *testing.B) {
			t := withFired(b, setup(b))
			execSQL(b, t.ctx, t.pool, `SELECT eventstream.set_timer('reminders', 'key-' || n, 'remind', clock_timestamp())
				FROM generate_series(1, $1::integer) AS n`, b.N)
			config := quickTimers(b)
			config.BatchSize = size
			timers := newTimers(b, t, fireAndAppend(t.repo), config)
			ctx, cancel := context.WithCancel(t.ctx)
			ended := make(chan error, 1)
			b.ResetTimer()
			go func() { ended <- timers.Run(ctx) }()
			awaitSQL(b, t, "0", `SELECT count(*)::text FROM eventstream.timers`)
			b.StopTimer()
			cancel()
			require.NoError(b, <-ended)
			transactions := number(b, t.ctx, t.pool, `SELECT count(DISTINCT xmin::text) FROM public.fired`)
			b.ReportMetric(float64(transactions)/float64(b.N), "transactions/op")
		})
	}
}
