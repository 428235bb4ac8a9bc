package inspect

// apart is up to how many versions each is drawn by itself.
const apart = 60

// stretch is a run of versions that are alike. Its place is in percent.
type stretch struct {
	// Kind is there, hole or waits.
	Kind     string
	From, To int64
	X, Width float64
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
	last      int64
}

// newTimeline draws where a stream has events, where it has holes, and what waits behind them.
func newTimeline(h head, waits []waiting, at, compared int64) timeline {
	t := timeline{last: max(h.CurrentVersion, 1)}
	t.add("there", 1, h.Watermark)
	next := h.Watermark + 1
	for i := 0; i < len(waits); {
		end := i
		for end+1 < len(waits) && waits[end+1].Version == waits[end].Version+1 {
			end++
		}
		t.add("hole", next, waits[i].Version-1)
		t.add("waits", waits[i].Version, waits[end].Version)
		next = waits[end].Version + 1
		i = end + 1
	}
	for _, m := range []mark{{Kind: "compared", Version: compared}, {Kind: "at", Version: at}} {
		if m.Version > 0 {
			m.X = percent((float64(m.Version) - 0.5) / float64(t.last) * 100)
			t.Marks = append(t.Marks, m)
		}
	}
	return t
}

func (t *timeline) add(kind string, from, to int64) {
	if from > to {
		return
	}
	if kind == "hole" {
		t.Holes = append(t.Holes, stretch{Kind: kind, From: from, To: to})
	}
	if t.last > apart {
		t.draw(stretch{Kind: kind, From: from, To: to}, 0)
		return
	}
	for v := from; v <= to; v++ {
		t.draw(stretch{Kind: kind, From: v, To: v}, 0.3)
	}
}

// draw leaves a gap behind a stretch, and makes it no narrower than can be seen.
func (t *timeline) draw(s stretch, gap float64) {
	s.X = percent(float64(s.From-1) / float64(t.last) * 100)
	s.Width = percent(max(float64(s.To-s.From+1)/float64(t.last)*100-gap, 0.2))
	t.Stretches = append(t.Stretches, s)
}
