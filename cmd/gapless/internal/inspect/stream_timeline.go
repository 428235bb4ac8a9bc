package inspect

// timelineWidth is that of the drawing, in its own units.
const timelineWidth = 1000

// stretch is a run of versions that are alike.
type stretch struct {
	// Kind is there, hole or waits.
	Kind       string
	From, To   int64
	X, Width   float64
	Label      bool
	Middle     float64
	LabelAlign string
}

// mark points at a version.
type mark struct {
	Kind    string
	Version int64
	X       float64
}

// timeline is a stream from its first version to its highest.
type timeline struct {
	Stretches []stretch
	Marks     []mark
	Holes     []stretch
}

// newTimeline draws where a stream has events, where it has holes, and what waits behind them.
func newTimeline(h head, waits []waiting, at, compared int64) (t timeline) {
	last := max(h.CurrentVersion, 1)
	add := func(kind string, from, to int64) {
		if from > to {
			return
		}
		s := stretch{Kind: kind, From: from, To: to}
		s.X = float64(from-1) / float64(last) * timelineWidth
		s.Width = max(float64(to-from+1)/float64(last)*timelineWidth, 2)
		s.Label, s.Middle = s.Width > 70, s.X+s.Width/2
		t.Stretches = append(t.Stretches, s)
		if kind == "hole" {
			t.Holes = append(t.Holes, s)
		}
	}
	add("there", 1, h.Watermark)
	next := h.Watermark + 1
	for i := 0; i < len(waits); {
		end := i
		for end+1 < len(waits) && waits[end+1].Version == waits[end].Version+1 {
			end++
		}
		add("hole", next, waits[i].Version-1)
		add("waits", waits[i].Version, waits[end].Version)
		next = waits[end].Version + 1
		i = end + 1
	}
	for _, m := range []mark{{Kind: "compared", Version: compared}, {Kind: "at", Version: at}} {
		if m.Version > 0 {
			m.X = (float64(m.Version) - 0.5) / float64(last) * timelineWidth
			t.Marks = append(t.Marks, m)
		}
	}
	return t
}
