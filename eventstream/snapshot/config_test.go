package snapshot

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

type state struct {
	Count int
	Names map[string]int `json:",omitempty"`
	kept  int
}

func count(s state, _ eventstream.Event) (state, error) {
	s.Count++
	return s, nil
}

// Each field out of bounds is named; the zero value of every other field is fine.
func TestConfigBounds(t *testing.T) {
	t.Parallel()
	good := Config[state]{Name: "tally", Evolve: count}
	complete, err := good.complete()
	require.NoError(t, err)
	require.Equal(t, []any{1, 100, OnReadAndWrite, 128, time.Minute, state{}},
		[]any{complete.SchemaVersion, complete.Policy.Every, complete.Policy.When, complete.QueueSize, complete.Timeout, complete.Initial()})
	for field, change := range map[string]func(*Config[state]){
		"Name":          func(c *Config[state]) { c.Name = "" },
		"SchemaVersion": func(c *Config[state]) { c.SchemaVersion = -1 },
		"Evolve":        func(c *Config[state]) { c.Evolve = nil },
		"Policy.Every":  func(c *Config[state]) { c.Policy.Every = -1 },
		"Policy.When":   func(c *Config[state]) { c.Policy.When = 4 },
		"QueueSize":     func(c *Config[state]) { c.QueueSize = -1 },
		"Timeout":       func(c *Config[state]) { c.Timeout = time.Microsecond },
	} {
		bad := good
		change(&bad)
		_, err := bad.complete()
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, "snapshot.Config."+field, invalid.Field)
	}
	_, err = New(nil, good)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
}

// The JSON codec refuses what is not the state.
func TestJSONRefusesWhatIsNotTheState(t *testing.T) {
	t.Parallel()
	codec := JSON[state]()
	data, err := codec.Encode(state{Count: 3, Names: map[string]int{"a": 1}})
	require.NoError(t, err)
	back, err := codec.Decode(data)
	require.NoError(t, err)
	require.Equal(t, state{Count: 3, Names: map[string]int{"a": 1}}, back)
	for _, bad := range []string{``, `{`, `{"Count": "3"}`, `{"Total": 3}`, `{"Count": 3} {}`, `[]`} {
		_, err := codec.Decode([]byte(bad))
		require.Error(t, err, bad)
	}
}

// Check finds what a codec loses.
func TestCheckFindsWhatACodecLoses(t *testing.T) {
	t.Parallel()
	events := make([]eventstream.Event, 3)
	require.NoError(t, Check(Config[state]{Name: "tally", Evolve: count}, events))
	require.ErrorContains(t, Check(Config[state]{Name: "tally", Evolve: func(s state, _ eventstream.Event) (state, error) {
		s.kept++
		return s, nil
	}}, events), "after 1 events")
	require.ErrorContains(t, Check(Config[state]{
		Name: "tally", Evolve: count, Initial: func() state { return state{Names: map[string]int{}} },
	}, events), "after 0 events", "a map that comes back nil")
	broken := errors.New("broken")
	require.ErrorIs(t, Check(Config[state]{
		Name: "tally", Evolve: func(s state, _ eventstream.Event) (state, error) { return s, broken },
	}, events), broken)
	require.ErrorIs(t, Check(Config[state]{}, events), eventstream.ErrInvalidValue)
}

// What is written to a log says what happened, with warnings for what somebody should look at.
func TestSlogObserver(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	observe := SlogObserver(slog.New(slog.NewTextHandler(&out, nil)))
	observe(Notice{Kind: Saved, StreamID: "order-1"})
	observe(Notice{Kind: Ignored, StreamID: "order-1", Status: eventstream.SnapshotOtherSchema})
	require.Empty(t, out.String(), "for debugging")
	observe(Notice{Kind: Ignored, Name: "tally", StreamID: "order-1", Status: eventstream.SnapshotContradicted})
	observe(Notice{Kind: Failed, Name: "tally", StreamID: "order-2", Err: errors.New("broken")})
	require.Contains(t, out.String(), `level=WARN msg="gapless: snapshot ignored" snapshot=tally stream_id=order-1`)
	require.Contains(t, out.String(), `why="contradicts the events"`)
	require.Contains(t, out.String(), `msg="gapless: snapshot failed" snapshot=tally stream_id=order-2`)
	require.Contains(t, out.String(), "error=broken")
	SlogObserver(nil)(Notice{Kind: Saved})
	require.Equal(t, []string{"saved", "dropped", "NoticeKind(0)", "NoticeKind(9)"},
		[]string{Saved.String(), Dropped.String(), NoticeKind(0).String(), NoticeKind(9).String()})
	require.Equal(t, "SnapshotStatus(9)", eventstream.SnapshotStatus(9).String())
}
