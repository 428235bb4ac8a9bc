package eventstream_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// parts are the arguments of ReconstructFrom; a case changes some of parts that fit.
type parts struct {
	base, current, watermark int64
	id                       eventstream.StreamID
	key                      eventstream.PartitionKey
	events                   []eventstream.Event
	expected                 *int64
	created, updated         time.Time
}

func goodParts(t testing.TB) parts {
	return parts{id: "s", key: key5, current: 3, watermark: 2, events: stored(t, 1, 2, 3), created: day1, updated: day2}
}

func (p parts) reconstruct() (*eventstream.EventStream, error) {
	return eventstream.ReconstructFrom(p.base, p.id, p.key, p.current, p.watermark, p.events, p.expected, p.created, p.updated)
}

func TestReconstructGivesBackItsParts(t *testing.T) {
	t.Parallel()
	p := goodParts(t)
	expected := int64(3)
	s, err := eventstream.Reconstruct(p.id, p.key, p.current, p.watermark, p.events, &expected, p.created, p.updated)
	require.NoError(t, err)
	expected = 99
	require.Equal(t, p.id, s.StreamID())
	require.Equal(t, p.key, s.PartitionKey())
	require.Equal(t, int64(3), s.CurrentVersion())
	require.Equal(t, int64(2), s.Watermark())
	require.Zero(t, s.BaseVersion())
	require.Equal(t, 3, s.EventCount())
	require.Equal(t, day1, s.CreatedAt())
	require.Equal(t, day2, s.UpdatedAt())
	version, ok := s.ExpectedVersion()
	require.True(t, ok)
	require.Equal(t, int64(3), version)
	require.Empty(t, cmp.Diff(stripIDs(p.events), stripIDs(s.EventsFrom(1))))

	p.events[0].Version, p.events[1].Payload[0] = 9, 'x'
	require.Equal(t, int64(1), s.EventsFrom(1)[0].Version)
	require.JSONEq(t, `{"n":1}`, string(s.EventsFrom(2)[0].Payload))
}

func stripIDs(events []eventstream.Event) []eventstream.Event {
	out := make([]eventstream.Event, len(events))
	for i, e := range events {
		out[i] = e.Clone()
		out[i].ID = testID
	}
	return out
}

func TestReconstructAcceptsEveryStreamThatCanBe(t *testing.T) {
	t.Parallel()
	zero := int64(0)
	for name, change := range map[string]func(*parts){
		"as it is":             func(*parts) {},
		"empty":                func(p *parts) { p.current, p.watermark, p.events = 0, 0, nil },
		"all confirmed":        func(p *parts) { p.watermark = 3 },
		"none confirmed":       func(p *parts) { p.watermark = 0 },
		"events held back":     func(p *parts) { p.current = 9 },
		"updated when created": func(p *parts) { p.updated = p.created },
		"updated before created, since the clock was set back": func(p *parts) { p.updated = p.created.Add(-time.Hour) },
		"expecting nothing to be there":                        func(p *parts) { p.expected = &zero },
		"base at the watermark":                                func(p *parts) { p.base, p.current, p.watermark, p.events = 7, 7, 7, nil },
		"events on a base":                                     func(p *parts) { p.base, p.events = 1, p.events[1:] },
		"the last version there can be": func(p *parts) {
			p.base, p.current, p.watermark, p.events = math.MaxInt64, math.MaxInt64, math.MaxInt64, nil
		},
		"mixed tenants, to be reported":   func(p *parts) { p.events[1].TenantID = "other" },
		"the same instant in other zones": func(p *parts) { p.created, p.updated = day1.In(time.FixedZone("e", 3600)), day1 },
	} {
		p := goodParts(t)
		change(&p)
		s, err := p.reconstruct()
		require.NoError(t, err, name)
		require.True(t, s.IsGapless(), name)
		require.Equal(t, p.base, s.BaseVersion(), name)
	}
}

func TestReconstructRefusesPartsThatDoNotFit(t *testing.T) {
	t.Parallel()
	negative := int64(-1)
	for name, c := range map[string]struct {
		change     func(*parts)
		rule       string
		got, bound string
	}{
		"watermark below 0":         {func(p *parts) { p.watermark = -1 }, "watermark must not be negative", "watermark -1", "0"},
		"watermark above current":   {func(p *parts) { p.watermark = 4 }, "above currentVersion", "watermark 4", "currentVersion 3"},
		"current below 0":           {func(p *parts) { p.current = -1 }, "above currentVersion", "watermark 2", "currentVersion -1"},
		"base below 0":              {func(p *parts) { p.base = -1 }, "base version must not be negative", "base version -1", "0"},
		"base above watermark":      {func(p *parts) { p.base = 3 }, "above the watermark", "base version 3", "watermark 2"},
		"a gap":                     {func(p *parts) { p.events = stored(t, 1, 3) }, "without a gap", "version 3 in place 2", "version 2"},
		"first missing":             {func(p *parts) { p.events = stored(t, 2, 3) }, "without a gap", "version 2 in place 1", "version 1"},
		"version 0":                 {func(p *parts) { p.events = stored(t, 0, 1, 2) }, "without a gap", "version 0 in place 1", "version 1"},
		"twice":                     {func(p *parts) { p.events = stored(t, 1, 2, 2) }, "without a gap", "version 2 in place 3", "version 3"},
		"out of order":              {func(p *parts) { p.events = stored(t, 1, 3, 2) }, "without a gap", "version 3 in place 2", "version 2"},
		"events not after the base": {func(p *parts) { p.base = 1 }, "without a gap", "version 1 in place 1", "version 2"},
		"stop before the watermark": {func(p *parts) { p.events = stored(t, 1) }, "stop before the watermark", "last version 1", "watermark 2"},
		"no events at all":          {func(p *parts) { p.events = nil }, "stop before the watermark", "last version 0", "watermark 2"},
		"go past current":           {func(p *parts) { p.current = 2 }, "past currentVersion", "version 3", "currentVersion 2"},
		"past the end of versions": {func(p *parts) {
			p.base, p.current, p.watermark, p.events = math.MaxInt64, math.MaxInt64, math.MaxInt64, stored(t, math.MinInt64)
		}, "past currentVersion", "-9223372036854775808", "9223372036854775807"},
		"an event of another stream":   {func(p *parts) { p.events[1].StreamID = "t" }, "of the stream", `event 2 of stream "t"`, `stream "s"`},
		"an event of no stream":        {func(p *parts) { p.events[2].StreamID = "" }, "of the stream", `event 3 of stream ""`, `stream "s"`},
		"an id that is not valid":      {func(p *parts) { p.id = "s\n" }, "stream id must be valid", `"s\n"`, "128 bytes"},
		"a partition that is not":      {func(p *parts) { p.key.ID = 32 }, "partition must be valid", "partition-32/32", "ID < COUNT"},
		"no partition":                 {func(p *parts) { p.key = eventstream.PartitionKey{} }, "partition must be valid", "partition-0/0", "ID < COUNT"},
		"an expectation that is below": {func(p *parts) { p.expected = &negative }, "expectedVersion must not be negative", "expectedVersion -1", "0"},
	} {
		p := goodParts(t)
		c.change(&p)
		s, err := p.reconstruct()
		require.Nil(t, s, name)
		require.ErrorIs(t, err, eventstream.ErrReconstruct, name)
		var broken *eventstream.ReconstructError
		require.ErrorAs(t, err, &broken, name)
		require.Contains(t, broken.Rule, c.rule, name)
		require.Contains(t, broken.Got, c.got, name)
		require.Contains(t, broken.Bound, c.bound, name)
		require.Equal(t, p.id, broken.StreamID, name)
		require.ErrorContains(t, err, broken.Rule+": got "+broken.Got+", against "+broken.Bound, name)
	}
}

func TestAPartThatIsItselfInvalidCanBeGotAt(t *testing.T) {
	t.Parallel()
	p := goodParts(t)
	p.id = ""
	_, err := p.reconstruct()
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	p = goodParts(t)
	p.watermark = 4
	_, err = p.reconstruct()
	require.NotErrorIs(t, err, eventstream.ErrInvalidValue)
}
