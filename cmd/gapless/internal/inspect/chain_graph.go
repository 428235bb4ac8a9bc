package inspect

import (
	"strings"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

// Sizes of the drawing, in its own units.
const (
	boxWidth, boxHeight = 184, 46
	gapWidth, gapHeight = 44, 14
	margin              = 6
)

// box is an event in a drawing.
type box struct {
	link
	X, Y int
	// This marks the event of the page, and Outside a cause that is no event of this store.
	This, Outside bool
	Text, Under   string
}

// arrow goes from a cause to what it caused.
type arrow struct{ X1, Y1, XM, X2, Y2 int }

// graph is a drawing of causes and effects: a column for each step, rows in order of the log.
type graph struct {
	Boxes         []box
	Arrows        []arrow
	Width, Height int
}

// newGraph places events, given in order of the log.
func newGraph(links []link, this string) graph {
	places := map[string]int{}
	var boxes []box
	for _, l := range links {
		places[strings.ToLower(l.EventID)] = len(boxes)
		boxes = append(boxes, box{link: l, This: l.EventID == this, Text: brief(output.Clean(l.Type), 24), Under: brief(output.Clean(l.StreamID), 18)})
	}
	for _, l := range links {
		cause := strings.ToLower(l.Causation)
		if _, known := places[cause]; cause == "" || known {
			continue
		}
		places[cause] = len(boxes)
		boxes = append(boxes, box{Outside: true, Text: brief(output.Clean(l.Causation), 22), Under: "not an event here"})
	}
	return drawBoxes(boxes, places)
}

func drawBoxes(boxes []box, places map[string]int) (g graph) {
	rows := map[int]int{}
	for i := range boxes {
		column := depth(boxes, places, i)
		boxes[i].X = margin + column*(boxWidth+gapWidth)
		boxes[i].Y = margin + rows[column]*(boxHeight+gapHeight)
		rows[column]++
		g.Width = max(g.Width, boxes[i].X+boxWidth+margin)
		g.Height = max(g.Height, boxes[i].Y+boxHeight+margin)
	}
	for _, b := range boxes {
		if from, known := places[strings.ToLower(b.Causation)]; known && b.Causation != "" && boxes[from].X < b.X {
			x := boxes[from].X + boxWidth
			g.Arrows = append(g.Arrows, arrow{x, boxes[from].Y + boxHeight/2, (x + b.X) / 2, b.X, b.Y + boxHeight/2})
		}
	}
	g.Boxes = boxes
	return g
}

// depth is how many causes lie before an event; a circle, which only forged metadata make, ends after as many steps as there are boxes.
func depth(boxes []box, places map[string]int, i int) (n int) {
	for n < len(boxes) {
		from, known := places[strings.ToLower(boxes[i].Causation)]
		if boxes[i].Causation == "" || !known || from == i {
			return n
		}
		i = from
		n++
	}
	return 0
}
