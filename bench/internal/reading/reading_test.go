package reading

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

func TestRunMeasuresEveryPart(t *testing.T) {
	t.Parallel()
	require.NoError(t, database.With(t.Context(), io.Discard, func(ctx context.Context, d *database.Databases) error {
		var log bytes.Buffer
		o := &Options{events: 1000, rounds: 2, samples: 3, settle: time.Millisecond, watch: 20 * time.Millisecond}
		r, err := o.Run(ctx, d, &log)
		require.NoError(t, err)
		require.NotContains(t, log.String(), "tried again")
		require.Len(t, r.Tables, 3)
		require.Len(t, r.Tables[0].Rows, 3)
		require.Len(t, r.Tables[2].Rows, 7)
		results := r.Results.([]result)
		require.Len(t, results, 3+1+7)
		for _, x := range results[:3] {
			require.Positive(t, x.P50, x.Case)
			require.GreaterOrEqual(t, x.P99, x.P50, x.Case)
		}
		require.Positive(t, results[3].Here)
		for _, x := range results[4:] {
			require.Positive(t, x.Rate, x.Case)
			require.Positive(t, x.Ratio, x.Case)
		}
		require.InDelta(t, 1, results[4].Ratio, 0, "the first of a group is what the others are compared with")

		o.only = []string{"catchup"}
		r, err = o.Run(ctx, d, &log)
		require.NoError(t, err)
		require.Len(t, r.Tables, 1)
		return nil
	}))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	parse := func(arguments ...string) (*Options, error) {
		o := Defaults()
		f := flag.NewFlagSet("log", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		o.Flags(f)
		if err := f.Parse(arguments); err != nil {
			return o, err
		}
		return o, o.Validate()
	}
	o, err := parse("-only", "idle,catchup", "-events", "5000", "-rounds", "3", "-samples", "9")
	require.NoError(t, err)
	want := Defaults()
	want.only, want.events, want.rounds, want.samples = []string{"idle", "catchup"}, 5000, 3, 9
	require.Equal(t, want, o)
	for _, arguments := range [][]string{
		{"-only", "catchups"}, {"-events", "999"}, {"-rounds", "0"}, {"-samples", "0"}, {"-none"},
	} {
		_, err := parse(arguments...)
		require.Error(t, err, arguments)
	}
}
