package cpu

import (
	"flag"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
)

func TestSummarizeComparesLikeWithLike(t *testing.T) {
	t.Parallel()
	samples, bases := map[string][]float64{}, []float64{}
	for _, group := range groups() {
		require.True(t, group[0].bare)
		for _, c := range group {
			require.Equal(t, group[0].size(), c.size(), c.name)
			samples[c.name] = []float64{float64(len(samples) + 1)}
			bases = append(bases, samples[group[0].name][0])
		}
	}
	results := summarize(installed, autocommit, samples)
	require.Len(t, results, 14)
	for i, r := range results {
		require.Equal(t, "installed/autocommit/"+r.name, r.Case)
		require.InDelta(t, float64(i+1)/bases[i], r.Ratio, 0.005)
		require.InDelta(t, float64(i+1), r.US, 0)
		require.Zero(t, r.Spread)
	}
	shown := tables(append(results, summarize(grown, autocommit, samples)...))
	require.Len(t, shown, 2)
	require.Equal(t, "Server CPU, installed, autocommit", shown[0].Title)
	require.Len(t, shown[1].Rows, 14)
}

func TestShapesChooseStreams(t *testing.T) {
	t.Parallel()
	own := baseline.SeededStreams(0, 5, 1)
	require.Len(t, spread.targets(own, 4), 4)
	require.Len(t, long.targets(own, 4), 1)
	require.EqualValues(t, 1, single.targets(own, 4)[0].Version)
	require.Zero(t, fresh.targets(own, 4)[0].Version)
}

func TestWhatIsNoAppendIsNoticed(t *testing.T) {
	t.Parallel()
	s := baseline.SeededStream(1, 4)
	require.NoError(t, moved(s, 2, 6))
	require.EqualValues(t, 6, s.Version)
	require.ErrorContains(t, moved(s, 2, 7), "want 8")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	parse := func(arguments ...string) (*Options, error) {
		o := Defaults()
		f := flag.NewFlagSet("cpu", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		o.Flags(f)
		if err := f.Parse(arguments); err != nil {
			return o, err
		}
		return o, o.Validate()
	}
	o, err := parse("-streams", "500", "-rounds", "3", "-calls", "200", "-states", "grown,analyzed", "-modes", "autocommit")
	require.NoError(t, err)
	require.Equal(t, &Options{
		streams: 500, rounds: 3, calls: 200, states: []string{grown, analyzed}, modes: []string{autocommit},
	}, o)
	for _, arguments := range [][]string{
		{"-streams", "99"}, {"-rounds", "0"}, {"-calls", "0"}, {"-states", "new"}, {"-modes", ""}, {"-none"},
	} {
		_, err := parse(arguments...)
		require.Error(t, err, arguments)
	}
}
