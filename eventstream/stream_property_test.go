package eventstream_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
)

// model is what an EventStream promises, in as few words as possible: a list of payloads and an expectation.
type model struct {
	base, watermark int64
	tenant          eventstream.TenantID
	payloads        []string
	expected        *int64
}

func (m *model) current() int64 { return m.base + int64(len(m.payloads)) }

// machine holds a stream and its model, and does the same to both.
type machine struct {
	s *eventstream.EventStream
	m model
}

func (x *machine) append(t *rapid.T) {
	tenant := rapid.SampledFrom([]eventstream.TenantID{"", "", "acme", "other"}).Draw(t, "tenant")
	strict := rapid.Bool().Draw(t, "strict")
	e, err := eventstream.NewEvent("a", rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "payload"))
	require.NoError(t, err)
	e.TenantID = tenant
	fits := tenant == "" && !strict || tenant != "" && (x.m.tenant == "" || x.m.tenant == tenant)
	expected := x.m.expected == nil || *x.m.expected == x.m.current()

	before := x.s.Clone()
	do := x.s.AppendEvent
	if strict {
		do = x.s.AppendEventWithTenantCheck
	}
	version, err := do(e)
	switch {
	case !fits:
		require.ErrorIs(t, err, eventstream.ErrTenantMismatch)
		require.Equal(t, before, x.s)
	case !expected:
		require.Equal(t, &eventstream.VersionConflictError{StreamID: "s", Expected: *x.m.expected, Actual: x.m.current()}, err)
		require.Equal(t, before, x.s)
	default:
		require.NoError(t, err)
		x.m.payloads = append(x.m.payloads, string(e.Payload))
		x.m.expected = nil
		require.Equal(t, x.m.current(), version)
		if x.m.tenant == "" {
			x.m.tenant = tenant
		}
		if x.m.tenant == "" {
			x.m.tenant = eventstream.DefaultTenant
		}
	}
}

func (x *machine) expect(t *rapid.T) {
	version := rapid.OneOf(rapid.Int64Range(-2, 12), rapid.Just(x.m.current())).Draw(t, "version")
	err := x.s.ExpectVersion(version)
	require.Equal(t, version < 0, err != nil)
	if err == nil {
		x.m.expected = &version
	}
}

func (x *machine) clear(*rapid.T) {
	x.s.ClearExpectedVersion()
	x.m.expected = nil
}

// clone goes on with the copy, and spoils the original to see that the copy does not care.
func (x *machine) clone(t *rapid.T) {
	old := x.s
	x.s = old.Clone()
	require.Equal(t, old, x.s)
	old.ClearExpectedVersion()
	e, err := eventstream.NewEvent("spoiled", nil)
	require.NoError(t, err)
	_, err = old.AppendEvent(e)
	require.NoError(t, err)
}

func (x *machine) json(t *rapid.T) {
	raw, err := json.Marshal(x.s)
	require.NoError(t, err)
	back := new(eventstream.EventStream)
	require.NoError(t, json.Unmarshal(raw, back))
	require.Equal(t, x.s.EventsFrom(1), back.EventsFrom(1))
	require.True(t, x.s.UpdatedAt().Equal(back.UpdatedAt()))
	require.True(t, x.s.CreatedAt().Equal(back.CreatedAt()))
	x.s = back
}

// reload does what a repository does: the events are confirmed up to some version, and the stream is loaded on some base.
func (x *machine) reload(t *rapid.T) {
	watermark := rapid.Int64Range(x.m.watermark, x.m.current()).Draw(t, "watermark")
	base := rapid.Int64Range(x.m.base, watermark).Draw(t, "base")
	if base == x.m.current() && base > 0 {
		return // Then the tenant is not known, which has a test of its own.
	}
	events := slices.DeleteFunc(x.s.EventsFrom(1), func(e eventstream.Event) bool { return e.Version <= base })
	s, err := eventstream.ReconstructFrom(base, "s", x.s.PartitionKey(), x.m.current(), watermark, events,
		x.m.expected, x.s.CreatedAt(), x.s.UpdatedAt())
	require.NoError(t, err)
	x.s = s
	x.m.payloads = x.m.payloads[base-x.m.base:]
	x.m.base, x.m.watermark = base, watermark
}

// damage takes the stream apart and puts it together wrongly, in one of the ways that Reconstruct must see.
func (x *machine) damage(t *rapid.T) {
	if len(x.m.payloads) == 0 {
		return
	}
	events := x.s.EventsFrom(1)
	i := rapid.IntRange(0, len(events)-1).Draw(t, "i")
	current, watermark, base := x.m.current(), x.m.watermark, x.m.base
	switch rapid.IntRange(0, 6).Draw(t, "damage") {
	case 0:
		events = append(slices.Delete(events, i, i+1), events[0])
	case 1:
		events[i].Version += rapid.SampledFrom([]int64{-1, 1, 1 << 40}).Draw(t, "shift")
	case 2:
		events[i].StreamID = "other"
	case 3:
		current = base + int64(i)
	case 4:
		watermark = rapid.SampledFrom([]int64{-1, current + 1}).Draw(t, "watermark")
	case 5:
		base = watermark + 1
	case 6:
		watermark, events = current, events[:i]
	}
	_, err := eventstream.ReconstructFrom(base, "s", x.s.PartitionKey(), current, watermark, events, nil,
		x.s.CreatedAt(), x.s.UpdatedAt())
	require.ErrorIs(t, err, eventstream.ErrReconstruct)
}

func (x *machine) eventsFrom(t *rapid.T) {
	from := rapid.Int64Range(-1, x.m.current()+2).Draw(t, "from")
	want := []string{}
	for i, payload := range x.m.payloads {
		if from >= 1 && x.m.base+int64(i)+1 >= from {
			want = append(want, payload)
		}
	}
	got := []string{}
	for _, e := range x.s.EventsFrom(from) {
		got = append(got, string(e.Payload))
	}
	require.Equal(t, want, got)
}

// check holds the stream against its model after every step.
func (x *machine) check(t *rapid.T) {
	require.Equal(t, x.m.current(), x.s.CurrentVersion())
	require.Equal(t, x.m.watermark, x.s.Watermark())
	require.Equal(t, x.m.base, x.s.BaseVersion())
	require.Equal(t, len(x.m.payloads), x.s.EventCount())
	require.Equal(t, x.m.tenant, x.s.TenantID())
	require.True(t, x.s.IsGapless())
	require.True(t, x.s.HasConsistentTenant())
	require.False(t, x.s.UpdatedAt().Before(x.s.CreatedAt()))
	require.Len(t, x.s.NewEvents(), int(x.m.current()-x.m.watermark))
	version, expected := x.s.ExpectedVersion()
	require.Equal(t, x.m.expected != nil, expected)
	if expected {
		require.Equal(t, *x.m.expected, version)
	}
	for i, e := range x.s.EventsFrom(1) {
		require.Equal(t, x.m.base+int64(i)+1, e.Version)
		require.Equal(t, eventstream.StreamID("s"), e.StreamID)
		require.Equal(t, x.s.PartitionKey().ID, e.PartitionID)
		require.Equal(t, x.m.payloads[i], string(e.Payload))
		require.NoError(t, e.Validate())
	}
}

func TestAStreamDoesWhatItsModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := &machine{s: eventstream.New("s")}
		t.Repeat(map[string]func(*rapid.T){
			"append": x.append, "append again": x.append, "expect": x.expect, "clear": x.clear, "clone": x.clone,
			"json": x.json, "reload": x.reload, "damage": x.damage, "eventsFrom": x.eventsFrom, "": x.check,
		})
	})
}
