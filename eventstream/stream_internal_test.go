package eventstream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func internalEvent(t *testing.T) Event {
	t.Helper()
	e, err := NewEvent("a", 1)
	require.NoError(t, err)
	return e
}

func TestConfirmMovesTheWatermarkAndTakesWhatTheDatabaseGave(t *testing.T) {
	t.Parallel()
	s := New("s")
	for range 3 {
		_, err := s.AppendEvent(internalEvent(t))
		require.NoError(t, err)
	}
	at := time.Now().Add(time.Hour)
	saved := s.NewEvents()[1:]
	for i := range saved {
		saved[i].Position, saved[i].RecordedAt = int64(100+i), at
	}
	outside := Event{Version: 99}
	s.confirm(append(saved, outside, Event{}), at)
	require.Equal(t, int64(3), s.Watermark())
	require.Empty(t, s.NewEvents())
	require.Zero(t, s.events[0].Position)
	require.Equal(t, int64(100), s.events[1].Position)
	require.Equal(t, int64(101), s.events[2].Position)
	require.Equal(t, normalTime(at), s.UpdatedAt())
	require.NoError(t, s.check())
	require.Len(t, s.events, 3)
}

func TestAStreamOnASnapshotKnowsTheTenantThatItsHeadNames(t *testing.T) {
	t.Parallel()
	s, err := ReconstructFrom(4, "s", PartitionKey{Count: 1}, 4, 4, nil, nil, time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Empty(t, s.TenantID())
	s.tenant = "acme"
	require.Equal(t, TenantID("acme"), s.TenantID())
	require.True(t, s.HasConsistentTenant())

	raw, err := s.MarshalJSON()
	require.NoError(t, err)
	var back EventStream
	require.NoError(t, back.UnmarshalJSON(raw))
	require.Equal(t, s, &back)

	evil := internalEvent(t)
	evil.TenantID = "evil"
	_, err = s.AppendEvent(evil)
	require.ErrorIs(t, err, ErrTenantMismatch)
	_, err = s.AppendEvent(internalEvent(t))
	require.NoError(t, err)
	require.Equal(t, TenantID("acme"), s.events[0].TenantID)

	s.tenant = "a b"
	require.ErrorIs(t, s.check(), ErrReconstruct)
}

// IsGapless looks at the events themselves, so it must see what the other functions prevent.
func TestIsGaplessSeesADamagedStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base, watermark int64
		versions        []int64
		want            bool
	}{
		"whole":                     {0, 3, []int64{1, 2, 3}, true},
		"on a base":                 {5, 7, []int64{6, 7}, true},
		"empty":                     {0, 0, nil, true},
		"new events do not count":   {0, 1, []int64{1, 9}, true},
		"one missing":               {0, 3, []int64{1, 3}, false},
		"one in another's place":    {0, 3, []int64{1, 3, 4}, false},
		"one twice":                 {0, 3, []int64{1, 2, 2}, false},
		"out of order":              {0, 3, []int64{1, 3, 2}, false},
		"the first missing":         {0, 2, []int64{2, 3}, false},
		"the last missing":          {0, 3, []int64{1, 2}, false},
		"all missing":               {0, 3, nil, false},
		"at the base, not after it": {5, 7, []int64{5, 6}, false},
		"base above the watermark":  {5, 4, nil, false},
	} {
		s := EventStream{base: c.base, watermark: c.watermark, current: c.watermark}
		for _, version := range c.versions {
			s.events = append(s.events, Event{Version: version})
		}
		require.Equal(t, c.want, s.IsGapless(), name)
	}
}
