package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/internal/pgserver"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// tiny is a run of moments.
func tiny() options {
	return options{
		group: true, callers: []int{2}, rounds: 2, duration: 5 * time.Millisecond, growth: []int{1000, 2000},
		sizes: sizes{streams: 6, longLoad: 1100, log: 1200, imported: 500, storage: 1000, growLimit: 600},
	}
}

func TestRunMeasuresEveryCase(t *testing.T) {
	t.Parallel()
	o := tiny()
	o.docs = t.TempDir()
	o.out = filepath.Join(o.docs, "results.json")
	path := filepath.Join(o.docs, pageName)
	require.NoError(t, os.WriteFile(path, []byte("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o600))
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), o, &stdout, &stderr))

	content, err := os.ReadFile(o.out)
	require.NoError(t, err)
	var results []result
	require.NoError(t, json.Unmarshal(content, &results))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	var measured []string
	for _, r := range results {
		measured = append(measured, r.Case)
		for _, n := range []float64{r.Rate, r.Ratio, r.P50, r.P99, r.RawRate, r.RawP50, r.RawP99} {
			require.Positive(t, n, r.Case)
		}
		require.Contains(t, stdout.String(), r.Case)
		require.Contains(t, string(page), "| `"+r.Case+"` |")
	}
	require.Equal(t, slices.Concat(names()[:len(cases())],
		[]string{"growth-append-1000", "growth-append-2000", "growth-load-1000", "growth-load-2000"}), measured)
	require.Contains(t, string(page), "| `bare.copied` |")
	require.NotContains(t, string(page), "old")
	require.FileExists(t, filepath.Join(o.docs, chartName))
}

func TestRunRefusesBeforeItStartsAServer(t *testing.T) {
	t.Parallel()
	unwritable, noPage, never := tiny(), tiny(), tiny()
	unwritable.out, noPage.docs, never.rounds = t.TempDir(), t.TempDir(), 0
	for _, o := range []options{unwritable, noPage, never} {
		var stdout, stderr bytes.Buffer
		require.Error(t, run(t.Context(), o, &stdout, &stderr))
		require.Empty(t, stdout.String()+stderr.String())
	}
}

func TestSidesFailUnlessTheStoreHoldsWhatTheyAcknowledged(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server, err := pgserver.Start(ctx, pgserver.Options{NeedSuperuser: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	d, drop, err := openDatabases(ctx, server)
	require.NoError(t, err)
	defer func() { require.NoError(t, drop()) }()

	// The others are checked by the same queries, or read in the same way.
	checked := []string{"append10", "hot-exact", "load100", "log", "import"}
	for _, c := range cases() {
		if !slices.Contains(checked, c.name) {
			continue
		}
		reads := strings.HasPrefix(c.name, "load") || c.name == "log"
		s, drop, err := d.open(ctx, 2, tiny())
		require.NoError(t, err)
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
		if reads {
			_, err := s.gapless.Exec(ctx, `DROP TABLE eventstream.streams, eventstream.events CASCADE`)
			require.NoError(t, err)
			for _, side := range sides {
				_, err := side.calls[0](ctx)
				require.Error(t, err, c.name)
			}
		}
		require.NoError(t, drop())
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
