package throughput

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChartIsXMLWithABarForEachResult(t *testing.T) {
	t.Parallel()
	decoder := xml.NewDecoder(strings.NewReader(chart([]result{
		{Case: "append10", Callers: 1, Ratio: 0.5},
		{Case: "append10", Callers: 64, Ratio: 2},
		{Case: "log", Callers: 1, Ratio: 1000},
		{Case: "growth-load-1000", Callers: 1, Ratio: 1, grown: true},
	})))
	elements := map[string]int{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
	require.Equal(t, 3+1, elements["rect"], "and the background; not the growth, which is compared with itself")
	require.Equal(t, 2*chartEnds+1, elements["line"])
}

func TestChartIsLogarithmicAndEnds(t *testing.T) {
	t.Parallel()
	middle := chartX(1)
	require.InDelta(t, chartX(2)-middle, middle-chartX(0.5), 1e-9)
	require.InDelta(t, 2*(chartX(2)-middle), chartX(4)-middle, 1e-9)
	require.InDelta(t, labelWidth, chartX(0.001), 0)
	require.InDelta(t, chartWidth-numberWidth, chartX(1000), 0)
	require.InDelta(t, labelWidth, chartX(0), 0)
}
