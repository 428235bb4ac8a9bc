package throughput

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/bench/internal/database"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// tiny is a run of moments.
func tiny() *Options {
	return &Options{
		group: true, callers: []int{2}, rounds: 2, duration: 5 * time.Millisecond, growth: []int{1000, 2000},
		sizes: sizes{streams: 6, longLoad: 1100, log: 1200, imported: 500, storage: 1000, appends: 64, growLimit: 600},
	}
}

func TestRunMeasuresEveryCase(t *testing.T) {
	t.Parallel()
	require.NoError(t, database.With(t.Context(), io.Discard, func(ctx context.Context, d *database.Databases) error {
		r, err := tiny().Run(ctx, d, io.Discard)
		require.NoError(t, err)
		var measured, shown []string
		for i, x := range r.Results.([]result) {
			measured, shown = append(measured, x.Case), append(shown, r.Tables[0].Rows[i][0])
			for _, n := range []float64{x.Rate, x.Ratio, x.P50, x.P99, x.RawRate, x.RawP50, x.RawP99} {
				require.Positive(t, n, x.Case)
			}
		}
		require.Equal(t, slices.Concat(names()[:len(cases())],
			[]string{"growth-append-1000", "growth-append-2000", "growth-raw-1000", "growth-raw-2000", "growth-load-1000", "growth-load-2000"}), measured)
		require.Equal(t, measured, shown)
		require.Contains(t, r.Chart, "append1-new")
		require.Len(t, r.Tables, 3)

		stored := map[string]bool{}
		for _, row := range r.Tables[1].Rows {
			stored[row[0]] = true
			require.NotEqual(t, "0", row[3], row[0])
		}
		for _, name := range []string{"eventstream.events", "bare.events", "bare.copied"} {
			require.True(t, stored[name], name)
		}
		inserted := map[string]bool{}
		for _, row := range r.Tables[2].Rows {
			if row[1] == "events" {
				inserted[row[0]] = true
				require.Equal(t, []string{"0", "0"}, row[3:5], "events are only added")
			}
			if row[1] == "events" && row[0] == "append1-existing" {
				require.Equal(t, "64", row[2], "what was there before is not counted")
			}
		}
		require.Len(t, inserted, 4)
		return nil
	}))
}

func TestSidesFailUnlessTheStoreHoldsWhatTheyAcknowledged(t *testing.T) {
	t.Parallel()
	require.NoError(t, database.With(t.Context(), io.Discard, func(ctx context.Context, d *database.Databases) error {
		b := &benchmark{Options: tiny(), databases: d, log: io.Discard}
		// The others are checked by the same queries, or read in the same way.
		checked := []string{"append10", "hot-exact", "load100", "log", "import"}
		for _, c := range cases() {
			if slices.Contains(checked, c.name) {
				checkCase(t, b, c)
			}
		}
		return nil
	}))
}

func checkCase(t *testing.T, b *benchmark, c testCase) {
	t.Helper()
	ctx := t.Context()
	reads := strings.HasPrefix(c.name, "load") || c.name == "log"
	s, drop, err := b.open(ctx, 2)
	require.NoError(t, err)
	defer func() { require.NoError(t, drop()) }()
	sides, err := c.prepare(ctx, s)
	require.NoError(t, err)
	for _, side := range sides {
		require.Len(t, side.calls, 2)
		n, err := side.calls[0](ctx)
		require.NoError(t, err, c.name)
		require.NoError(t, side.check(ctx, int64(n)), c.name)
		if !reads {
			require.ErrorContains(t, side.check(ctx, int64(n)+1), "the numbers mean nothing", c.name)
		}
	}
	if !reads {
		return
	}
	_, err = s.Gapless.Exec(ctx, `DROP TABLE eventstream.events CASCADE`)
	require.NoError(t, err)
	for _, side := range sides {
		_, err := side.calls[0](ctx)
		require.Error(t, err, c.name)
	}
}

func TestWarmUpCountsForTheCheckAlone(t *testing.T) {
	t.Parallel()
	var counted, checked int64
	s := side{
		calls: []call{func(context.Context) (int, error) { counted += 3; return 3, nil }},
		check: func(_ context.Context, acknowledged int64) error { checked = acknowledged; return nil },
	}
	samples, err := measure(t.Context(), []side{s}, 4, time.Nanosecond)
	require.NoError(t, err)
	require.Len(t, samples[0], 4)
	require.Equal(t, counted, checked)
	require.Greater(t, counted, int64(4*3))
	for _, taken := range samples[0] {
		require.Len(t, taken.latencies, 1, "a call that is longer than the sample is made once")
		require.Equal(t, 3, taken.events)
	}
}

func TestSidesComeFirstInTurn(t *testing.T) {
	t.Parallel()
	var order string
	named := func(name string) side {
		return side{
			calls: []call{func(context.Context) (int, error) { order += name; return 1, nil }},
			check: unchanged,
		}
	}
	// Warming up takes some calls, so look at the end.
	_, err := measure(t.Context(), []side{named("r"), named("g")}, 4, time.Nanosecond)
	require.NoError(t, err)
	require.Equal(t, "grrggrrg", order[len(order)-8:])
}

func TestMeasureNamesTheSideThatFails(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	works := func(context.Context) (int, error) { return 1, nil }
	fails := func(context.Context) (int, error) { return 0, failed }
	for _, s := range []side{
		{name: "gapless", calls: []call{works, fails}, check: unchanged},
		{name: "gapless", calls: []call{works}, check: func(context.Context, int64) error { return failed }},
	} {
		_, err := measure(t.Context(), []side{s}, 1, time.Millisecond)
		require.ErrorIs(t, err, failed)
		require.ErrorContains(t, err, "gapless")
	}
}
