package inspect

import (
	"math"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

// Sizes of the charts. Across, a chart is as wide as there is room: in percent.
const (
	chartHeight, chartFoot = 180, 24
	heatColumns, heatCell  = 16, 44
	// heatSteps is how many colours a heat map has.
	heatSteps = 6
)

// bar is a value of a chart.
type bar struct {
	Label, Short        string
	Value               int64
	X, Y, Width, Height float64
}

// bars is a chart.
type bars struct {
	Bars  []bar
	Most  int64
	Ticks []bar
}

// newBars places the bars of a chart, and names under some of them.
func newBars(values []bar) (b bars) {
	for _, v := range values {
		b.Most = max(b.Most, v.Value)
	}
	step := 100 / float64(max(len(values), 1))
	every := max((len(values)+11)/12, 1)
	for i, v := range values {
		v.X, v.Width = percent(float64(i)*step+step*0.07), percent(step*0.86)
		if v.Value > 0 {
			v.Height = math.Round(max(float64(v.Value)/float64(b.Most)*(chartHeight-chartFoot-18), 2))
		}
		v.Y = chartHeight - chartFoot - v.Height
		b.Bars = append(b.Bars, v)
		if i%every == 0 && v.Short != "" {
			b.Ticks = append(b.Ticks, bar{Short: v.Short, X: percent(v.X + v.Width/2)})
		}
	}
	return b
}

// percent is a place in a drawing, as exact as a screen shows it.
func percent(x float64) float64 { return math.Round(x*100) / 100 }

// timeBars is a chart over time.
func timeBars(counts []float64, start time.Time, p period) bars {
	layout, long := "15:04", "15:04:05"
	if p.Length > 24*time.Hour {
		layout, long = "Jan 2", "Jan 2 15:04"
	}
	width := p.Length / time.Duration(len(counts))
	values := make([]bar, len(counts))
	for i, n := range counts {
		at := start.Add(time.Duration(i) * width).UTC()
		values[i] = bar{Value: int64(n + 0.5), Label: at.Format(long) + " to " + at.Add(width).Format(long), Short: at.Format(layout)}
	}
	b := newBars(values)
	// Ten bars a name.
	b.Ticks = nil
	for i := 5; i < len(b.Bars); i += 10 {
		b.Ticks = append(b.Ticks, bar{Short: b.Bars[i].Short, X: percent(b.Bars[i].X + b.Bars[i].Width/2)})
	}
	return b
}

// shortSize is a power of two as a name under a bar.
func shortSize(exponent int) string {
	return strings.NewReplacer(".0", "", "iB", "", " ", "").Replace(output.Bytes(int64(1) << exponent))
}

// cell is a partition in a heat map.
type cell struct {
	partitionRow
	X, Y, Step int
}

// heatMap shows how events are spread over partitions.
type heatMap struct {
	Cells         []cell
	Width, Height int
	Total         int64
	Fewest, Most  partitionRow
	// Whole says that all events were counted, else the newest ones.
	Whole bool
}

// newHeatMap colours by how far a partition is between none and the fullest.
func newHeatMap(rows []partitionRow, whole bool) (m heatMap) {
	m.Whole = whole
	for i, row := range rows {
		m.Total += row.Events
		if i == 0 || row.Events < m.Fewest.Events {
			m.Fewest = row
		}
		if i == 0 || row.Events > m.Most.Events {
			m.Most = row
		}
	}
	for i, row := range rows {
		c := cell{partitionRow: row, X: i % heatColumns * heatCell, Y: i / heatColumns * heatCell}
		if row.Events > 0 {
			c.Step = 1 + int(row.Events*int64(heatSteps-1)/m.Most.Events)
		}
		m.Width, m.Height = max(m.Width, c.X+heatCell), max(m.Height, c.Y+heatCell)
		m.Cells = append(m.Cells, c)
	}
	return m
}
