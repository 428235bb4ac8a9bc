package throughput

import (
	"fmt"
	"math"
	"strings"
)

// The chart's measures, in its own units.
const (
	chartWidth  = 760
	labelWidth  = 190
	numberWidth = 60
	barHeight   = 14
	rowHeight   = 18
	groupGap    = 8
	topMargin   = 52
	// chartEnds are the powers of two at either end: ratios beyond them get a bar to the end.
	chartEnds = 4
)

// chart draws the ratios as bars, to the right of the line at 1 if Gapless is faster, to the left if it is slower. The scale is
// logarithmic, so that twice as fast and half as fast look alike.
func chart(results []result) string {
	var bars strings.Builder
	y, name := topMargin, ""
	for _, x := range results {
		if x.grown {
			continue
		}
		if name != "" && x.Case != name {
			y += groupGap
		}
		writeBar(&bars, x, y, x.Case != name)
		y, name = y+rowHeight, x.Case
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" `+
		`font-family="sans-serif" font-size="12">`+"\n", chartWidth, y+12)
	b.WriteString(`<rect width="100%" height="100%" fill="#ffffff"/>` + "\n")
	b.WriteString(`<text x="12" y="20" font-size="14" font-weight="bold">Gapless / plain PostgreSQL, events per second, by case and callers</text>` + "\n")
	for power := -chartEnds; power <= chartEnds; power++ {
		writeTick(&b, power, y)
	}
	return b.String() + bars.String() + "</svg>\n"
}

// chartX is where a ratio lies.
func chartX(ratio float64) float64 {
	const width = chartWidth - labelWidth - numberWidth
	power := max(-chartEnds, min(chartEnds, math.Log2(ratio)))
	return labelWidth + width*(power+chartEnds)/(2*chartEnds)
}

func writeTick(b *strings.Builder, power, bottom int) {
	x, color := chartX(math.Exp2(float64(power))), "#dddddd"
	if power == 0 {
		color = "#333333"
	}
	label := fmt.Sprintf("%g", math.Exp2(float64(power)))
	if power < 0 {
		label = fmt.Sprintf("1/%g", math.Exp2(float64(-power)))
	}
	fmt.Fprintf(b, `<line x1="%.1f" x2="%.1[1]f" y1="%d" y2="%d" stroke="%s"/>`+"\n", x, topMargin-8, bottom, color)
	fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#666666">%s</text>`+"\n", x, topMargin-14, label)
}

func writeBar(b *strings.Builder, x result, y int, first bool) {
	label := fmt.Sprintf("%d", x.Callers)
	if first {
		label = fmt.Sprintf("%s, %d", x.Case, x.Callers)
	}
	from, to := min(chartX(1), chartX(x.Ratio)), max(chartX(1), chartX(x.Ratio))
	color := "#2f7d4f"
	if x.Ratio < 1 {
		color = "#8a94a6"
	}
	base := y + barHeight - 3
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth-8, base, label)
	fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", from, y, max(to-from, 1), barHeight, color)
	fmt.Fprintf(b, `<text x="%d" y="%d">%.2f</text>`+"\n", chartWidth-numberWidth+12, base, x.Ratio)
}
