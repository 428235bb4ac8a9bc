package eventstream

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/readbudget"
)

func TestBudgetCountsWhatAnEventTakes(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, int(unsafe.Sizeof(LogEvent{})), readbudget.EventOverhead)
}

// Partitions that start further on: reading begins before the first event that any of those wanted starts with.
func TestPagesSkipToTheFirstPartition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		partitions []int
		apart      map[int]int64
		want       int64
	}{
		{nil, nil, 0},
		{nil, map[int]int64{0: 50, 1: 60}, 0},
		{nil, map[int]int64{0: 50, 1: 60, 2: 40}, 40},
		{[]int{0, 1}, map[int]int64{0: 50, 1: 60}, 50},
		{[]int{1}, map[int]int64{0: 50, 1: 60}, 60},
		{[]int{1, 2}, map[int]int64{0: 50, 1: 60}, 0},
		{[]int{1}, map[int]int64{1: 1000}, 100},
	} {
		p := newLogPages(LogFilter{Partitions: c.partitions}, false, 0, 100, 10)
		p.apart = c.apart
		p.skipTo(3)
		require.Equal(t, c.want, p.after, "%+v", c)
	}
}
