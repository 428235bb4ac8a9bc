package throughput

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sampleOf is a second in which a single caller did something.
func sampleOf(events int, latency time.Duration) sample {
	return sample{events: events, took: time.Second, latencies: []time.Duration{latency}}
}

func TestRatioIsTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// The second round was slow for both: a ratio of medians would say 0.25.
	base := []sample{sampleOf(40, 3*time.Millisecond), sampleOf(2, 9*time.Millisecond), sampleOf(80, time.Millisecond)}
	mine := []sample{sampleOf(20, 5*time.Millisecond), sampleOf(1, 8*time.Millisecond), sampleOf(10, 7*time.Millisecond)}
	got := summarize("case", 4, base, mine)
	require.Equal(t, result{
		Case: "case", Callers: 4, Rate: 10, Ratio: 0.5, P50: 7, P99: 8, Spread: 1.9,
		RawRate: 40, RawP50: 3, RawP99: 9, ratioSpread: 0.75, longest: 8,
	}, got)
	require.Equal(t, "case, callers 4: 10 events/s, 0.50 of 40", got.String())
	require.Equal(t, []string{"case", "4", "10", "0.50", "190 %", "75 %", "7.00", "8.00", "8.00", "40", "3.00", "9.00"},
		table([]result{got}).Rows[0])
}

func TestJSONHasTheFieldsAndNoOthers(t *testing.T) {
	t.Parallel()
	content, err := json.Marshal(result{Case: "case", ratioSpread: 1})
	require.NoError(t, err)
	fields := map[string]any{}
	require.NoError(t, json.Unmarshal(content, &fields))
	want := []string{
		"case", "callers", "rate", "ratio", "p50_ms", "p99_ms", "spread", "raw_rate", "raw_p50_ms", "raw_p99_ms",
	}
	require.Len(t, fields, len(want))
	for _, name := range want {
		require.Contains(t, fields, name)
	}
}
