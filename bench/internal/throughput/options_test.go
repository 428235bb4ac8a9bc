package throughput

import (
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// parse reads a command line.
func parse(arguments ...string) (*Options, error) {
	o := Defaults()
	f := flag.NewFlagSet("throughput", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	o.Flags(f)
	if err := f.Parse(arguments); err != nil {
		return o, err
	}
	return o, o.Validate()
}

func TestOptionsHaveDefaults(t *testing.T) {
	t.Parallel()
	o, err := parse()
	require.NoError(t, err)
	require.Equal(t, &Options{
		rounds: 5, duration: 400 * time.Millisecond, growth: []int{10_000, 1_000_000}, group: true, sizes: defaultSizes(),
	}, o)
	require.True(t, o.wants("log"))
}

func TestOptionsAreRead(t *testing.T) {
	t.Parallel()
	o, err := parse("-only", "log,growth", "-callers", "1,16", "-rounds", "7", "-duration", "1s", "-growth", "", "-appends", "500",
		"-group=false")
	require.NoError(t, err)
	want := &Options{only: []string{"log", "growth"}, callers: []int{1, 16}, rounds: 7, duration: time.Second, sizes: defaultSizes()}
	want.sizes.appends = 500
	require.Equal(t, want, o)
	require.True(t, o.wants("growth"))
	require.False(t, o.wants("storage"))
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{"-only", "log,loh"},
		{"-callers", "0"},
		{"-callers", "129"},
		{"-callers", "one"},
		{"-rounds", "0"},
		{"-duration", "0s"},
		{"-growth", "999"},
		{"-growth", "2000,1000"},
		{"-appends", "15"},
	} {
		_, err := parse(arguments...)
		require.Error(t, err, arguments)
	}
}

func TestCallersReplaceThoseOfCasesForMany(t *testing.T) {
	t.Parallel()
	for _, c := range cases() {
		require.Equal(t, c.callers, Defaults().callersOf(c))
		want := []int{2, 3}
		if c.name == "log" || c.name == "import" {
			want = []int{1}
		}
		require.Equal(t, want, (&Options{callers: []int{2, 3}}).callersOf(c), c.name)
	}
}
