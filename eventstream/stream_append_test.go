package eventstream_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func TestVersionsStartAtOneAndAnAppendReturnsIts(t *testing.T) {
	t.Parallel()
	s := eventstream.New("s")
	for want := int64(1); want <= 5; want++ {
		version, err := s.AppendEvent(newEvent(t, "a"))
		require.NoError(t, err)
		require.Equal(t, want, version)
		require.Equal(t, want, s.CurrentVersion())
		require.Equal(t, int(want), s.EventCount())
		require.Zero(t, s.Watermark(), "the database confirms, not the append")
	}
	require.Equal(t, []int64{1, 2, 3, 4, 5}, versionsOf(s.EventsFrom(1)))
}

func TestAppendStampsACopy(t *testing.T) {
	t.Parallel()
	s := load(t, 0, 1, 1, 1)
	e := newEvent(t, "a")
	e.StreamID, e.Version, e.Position, e.RecordedAt, e.PartitionID = "s", 77, 88, day1, 31
	e.OccurredAt = time.Date(2024, 1, 1, 1, 0, 0, 1234, time.FixedZone("east", 3600))
	given := e.Clone()
	_, err := s.AppendEvent(e)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(given, e), "the caller's event is as it was")

	want := e.Clone()
	want.Version, want.Position, want.RecordedAt, want.PartitionID, want.TenantID = 2, 0, time.Time{}, key5.ID, "acme"
	want.OccurredAt = time.Date(2024, 1, 1, 0, 0, 0, 1000, time.UTC)
	e.Payload[0] = 'x'
	require.Empty(t, cmp.Diff([]eventstream.Event{want}, s.NewEvents()))
}

func TestAnExpectationMustEqualTheCurrentVersion(t *testing.T) {
	t.Parallel()
	s := load(t, 0, 3, 3, 1, 2, 3)
	for _, wrong := range []int64{0, 2, 4, math.MaxInt64} {
		require.NoError(t, s.ExpectVersion(wrong))
		before := s.Clone()
		version, err := s.AppendEvent(newEvent(t, "a"))
		require.Zero(t, version)
		require.Equal(t, &eventstream.VersionConflictError{StreamID: "s", Expected: wrong, Actual: 3}, err)
		require.ErrorIs(t, err, eventstream.ErrVersionConflict)
		require.Equal(t, before, s, "nothing changes, and the expectation stays")
	}
	require.NoError(t, s.ExpectVersion(3))
	version, err := s.AppendEvent(newEvent(t, "a"))
	require.NoError(t, err)
	require.Equal(t, int64(4), version)
}

func TestAnExpectationIsForTheNextAppendOnly(t *testing.T) {
	t.Parallel()
	s := eventstream.New("s")
	require.NoError(t, s.ExpectVersion(0))
	appendN(t, s, 2)
	_, expected := s.ExpectedVersion()
	require.False(t, expected)

	require.NoError(t, s.ExpectVersion(9))
	require.NoError(t, s.ExpectVersion(8))
	version, expected := s.ExpectedVersion()
	require.True(t, expected)
	require.Equal(t, int64(8), version, "the later takes the place of the earlier")
	s.ClearExpectedVersion()
	_, expected = s.ExpectedVersion()
	require.False(t, expected)
	appendN(t, s, 1)
}

func TestANegativeExpectationIsRefused(t *testing.T) {
	t.Parallel()
	s := eventstream.New("s")
	require.NoError(t, s.ExpectVersion(4))
	require.ErrorIs(t, s.ExpectVersion(-1), eventstream.ErrInvalidValue)
	version, expected := s.ExpectedVersion()
	require.True(t, expected)
	require.Equal(t, int64(4), version)
}

func TestAnAppendThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	other := newEvent(t, "a")
	other.StreamID = "t"
	noPayload := newEvent(t, "a")
	noPayload.Payload = nil
	bad := newEvent(t, "a")
	bad.Payload = json.RawMessage(`"\u0000"`)
	last := load(t, math.MaxInt64, math.MaxInt64, math.MaxInt64)
	for name, c := range map[string]struct {
		s    *eventstream.EventStream
		e    eventstream.Event
		want error
	}{
		"another stream":       {load(t, 0, 1, 1, 1), other, eventstream.ErrStreamMismatch},
		"another tenant":       {load(t, 0, 1, 1, 1), newEvent(t, "a", eventstream.WithTenant("evil")), eventstream.ErrTenantMismatch},
		"a hole":               {load(t, 0, 5, 2, 1, 2), newEvent(t, "a"), eventstream.ErrGap},
		"no payload":           {load(t, 0, 1, 1, 1), noPayload, eventstream.ErrInvalidValue},
		"payload with NUL":     {load(t, 0, 1, 1, 1), bad, eventstream.ErrInvalidValue},
		"an empty event":       {load(t, 0, 1, 1, 1), eventstream.Event{}, eventstream.ErrInvalidValue},
		"an id that is not":    {eventstream.New(" s"), newEvent(t, "a"), eventstream.ErrInvalidValue},
		"no id":                {&eventstream.EventStream{}, newEvent(t, "a"), eventstream.ErrInvalidValue},
		"the end of versions":  {last, newEvent(t, "a"), eventstream.ErrInvalidValue},
		"version not expected": {expecting(t, 7), newEvent(t, "a"), eventstream.ErrVersionConflict},
	} {
		before := c.s.Clone()
		version, err := c.s.AppendEvent(c.e)
		require.ErrorIs(t, err, c.want, name)
		require.Zero(t, version, name)
		require.Equal(t, before, c.s, name)
	}
}

func expecting(t testing.TB, version int64) *eventstream.EventStream {
	s := load(t, 0, 1, 1, 1)
	require.NoError(t, s.ExpectVersion(version))
	return s
}

func TestAHoleIsNamedByItsFirstMissingVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s       *eventstream.EventStream
		missing int64
		current int64
	}{
		{load(t, 0, 5, 2, 1, 2), 3, 5},
		{load(t, 0, 5, 0), 1, 5},
		{load(t, 7, 9, 7), 8, 9},
		{load(t, 0, 5, 2, 1, 2, 3), 4, 5},
	} {
		// A hole comes before an expectation, as in the database.
		require.NoError(t, c.s.ExpectVersion(99))
		_, err := c.s.AppendEvent(newEvent(t, "a"))
		require.Equal(t, &eventstream.GapError{StreamID: "s", FirstMissing: c.missing, CurrentVersion: c.current}, err)
		require.True(t, c.s.IsGapless(), "up to the watermark nothing is missing")
	}
}

func TestASecondTenantIsRefused(t *testing.T) {
	t.Parallel()
	s := eventstream.New("s")
	acme, evil, none := newEvent(t, "a", eventstream.WithTenant("acme")), newEvent(t, "a", eventstream.WithTenant("evil")), newEvent(t, "a")
	require.NoError(t, s.ValidateEventTenant(acme))
	require.NoError(t, s.ValidateEventTenant(evil), "an empty stream takes any tenant")
	_, err := s.AppendEvent(acme)
	require.NoError(t, err)
	require.Equal(t, eventstream.TenantID("acme"), s.TenantID())

	want := &eventstream.TenantMismatchError{StreamID: "s", StreamTenant: "acme", EventTenant: "evil"}
	require.Equal(t, want, s.ValidateEventTenant(evil))
	_, err = s.AppendEvent(evil)
	require.Equal(t, want, err)
	_, err = s.AppendEventWithTenantCheck(evil)
	require.Equal(t, want, err)

	require.NoError(t, s.ValidateEventTenant(none))
	_, err = s.AppendEvent(none)
	require.NoError(t, err)
	version, err := s.AppendEventWithTenantCheck(newEvent(t, "a", eventstream.WithTenant("acme")))
	require.NoError(t, err)
	require.Equal(t, int64(3), version)
	require.True(t, s.HasConsistentTenant())
}

func TestAnEventWithoutTenantTakesTheStreamsOrTheDefault(t *testing.T) {
	t.Parallel()
	s := eventstream.New("s")
	_, err := s.AppendEventWithTenantCheck(newEvent(t, "a"))
	require.Equal(t, &eventstream.TenantMismatchError{StreamID: "s"}, err, "the strict twin wants a name")
	require.Zero(t, s.EventCount())

	appendN(t, s, 1)
	require.Equal(t, eventstream.DefaultTenant, s.TenantID())
	loaded := load(t, 0, 1, 1, 1)
	appendN(t, loaded, 1)
	require.Equal(t, eventstream.TenantID("acme"), loaded.EventsFrom(2)[0].TenantID)
}

func TestUpdatedAtMovesOnAppendButNeverBack(t *testing.T) {
	t.Parallel()
	s := load(t, 0, 1, 1, 1)
	appendN(t, s, 1)
	require.WithinDuration(t, time.Now(), s.UpdatedAt(), time.Minute)
	require.Equal(t, day1, s.CreatedAt())

	future := time.Now().Add(time.Hour)
	ahead, err := eventstream.Reconstruct("s", key5, 0, 0, nil, nil, future, future)
	require.NoError(t, err)
	appendN(t, ahead, 1)
	require.False(t, ahead.UpdatedAt().Before(ahead.CreatedAt()), "the database's clock may be ahead")
}
