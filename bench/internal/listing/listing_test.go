package listing

import (
	"bytes"
	"context"
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/bench/internal/database"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestRunMeasuresEveryCaseAndShowsItsPlan(t *testing.T) {
	t.Parallel()
	require.NoError(t, database.With(t.Context(), io.Discard, func(ctx context.Context, d *database.Databases) error {
		var log bytes.Buffer
		o := &Options{streams: 10_000, events: 1, rounds: 2, duration: time.Millisecond, plans: true}
		r, err := o.Run(ctx, d, &log)
		require.NoError(t, err)
		require.Contains(t, log.String(), "a store of 10000 streams")
		found := map[string]int{}
		for i, x := range r.Results.([]result) {
			found[x.Case] = x.Rows
			require.Positive(t, x.P50, x.Case)
			require.LessOrEqual(t, x.P50, x.P99, x.Case)
			require.LessOrEqual(t, x.P99, x.Max, x.Case)
			require.Equal(t, "Plan of "+x.Case, r.Notes[i].Title)
			require.Contains(t, r.Notes[i].Text, "actual time=", x.Case)
		}
		require.Len(t, found, 10)
		require.Equal(t, 1000, found["list 1000 of all"])
		require.Equal(t, 10_000, found["count all"])
		require.Equal(t, 100, found["count of a tenant"])
		require.InDelta(t, 1000, found["count of a category"], 1)
		require.Equal(t, 20, found["20 changed last"])
		require.Equal(t, 32, found["totals of each partition"])
		require.Len(t, r.Tables[0].Rows, 10)

		o.plans = false
		r, err = o.Run(ctx, d, &log)
		require.NoError(t, err)
		require.Empty(t, r.Notes)
		return nil
	}))
}

func TestPlanIsTakenOutOfANotice(t *testing.T) {
	t.Parallel()
	plan, found := planOf("duration: 0.1 ms  plan:\nQuery Text: SELECT 1\n-- more\n" +
		"Result  (cost=0.00..0.01 rows=1)\n  Output: '\U0010FFFF\U0010FFFF'")
	require.True(t, found)
	require.Equal(t, "Result  (cost=0.00..0.01 rows=1)\n  Output: '...'", plan)
	for _, other := range []string{"duration: 0.1 ms", "anything (cost=1)"} {
		_, found = planOf(other)
		require.False(t, found)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	parse := func(arguments ...string) (*Options, error) {
		o := Defaults()
		f := flag.NewFlagSet("streams", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		o.Flags(f)
		if err := f.Parse(arguments); err != nil {
			return o, err
		}
		return o, o.Validate()
	}
	o, err := parse("-streams", "20000", "-events", "3", "-rounds", "7", "-duration", "1s", "-plans=false")
	require.NoError(t, err)
	require.Equal(t, &Options{streams: 20_000, events: 3, rounds: 7, duration: time.Second}, o)
	for _, arguments := range [][]string{
		{"-streams", "9999"}, {"-events", "0"}, {"-rounds", "0"}, {"-duration", "0s"}, {"-none"},
	} {
		_, err := parse(arguments...)
		require.Error(t, err, arguments)
	}
}
