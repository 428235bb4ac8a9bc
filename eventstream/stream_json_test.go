package eventstream_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func TestStreamJSONShowsTheHeadAndTheEvents(t *testing.T) {
	t.Parallel()
	s := load(t, 1, 3, 2, 2)
	require.NoError(t, s.ExpectVersion(3))
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(raw, &doc))
	require.Len(t, doc["events"], 1)
	delete(doc, "events")
	require.Equal(t, map[string]any{
		"stream_id": "s", "partition_key": "partition-5/32", "current_version": 3., "watermark": 2., "base_version": 1.,
		"expected_version": 3., "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-02T00:00:00Z",
	}, doc)

	raw, err = json.Marshal(eventstream.New("s"))
	require.NoError(t, err)
	require.Contains(t, string(raw), `"events":[]`)
	require.NotContains(t, string(raw), "expected_version")
}

func TestStreamJSONReadsBack(t *testing.T) {
	t.Parallel()
	for _, s := range []*eventstream.EventStream{
		load(t, 0, 0, 0), load(t, 0, 3, 2, 1, 2, 3), load(t, 2, 4, 3, 3), expecting(t, 7), expecting(t, 0),
	} {
		for _, value := range []any{s, *s} {
			raw, err := json.Marshal(value)
			require.NoError(t, err)
			back := eventstream.New("other")
			require.NoError(t, json.Unmarshal(raw, back))
			require.Equal(t, s.EventsFrom(1), back.EventsFrom(1))
			require.Equal(t, s.String(), back.String())
			again, err := json.Marshal(back)
			require.NoError(t, err)
			require.Equal(t, string(raw), string(again))
		}
	}
}

func TestStreamJSONGoesThroughTheChecksOfReconstruct(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(load(t, 0, 3, 2, 1, 2, 3))
	require.NoError(t, err)
	for name, change := range map[string][2]string{
		"watermark below 0":          {`"watermark":2`, `"watermark":-1`},
		"watermark above current":    {`"watermark":2`, `"watermark":4`},
		"past current":               {`"current_version":3`, `"current_version":2`},
		"a gap":                      {`"version":2`, `"version":5`},
		"another stream's event":     {`"stream_id":"s","version":3`, `"stream_id":"t","version":3`},
		"a base that does not fit":   {`"watermark":2`, `"watermark":2,"base_version":1`},
		"a base below 0":             {`"watermark":2`, `"watermark":2,"base_version":-1`},
		"an expectation below 0":     {`"watermark":2`, `"watermark":2,"expected_version":-1`},
		"no stream id":               {`{"stream_id":"s","partition_key"`, `{"partition_key"`},
		"no partition":               {`"partition_key":"partition-5/32",`, ``},
		"a partition that is not":    {`partition-5/32`, `partition-32/32`},
		"a stream id that is not":    {`{"stream_id":"s","partition_key"`, `{"stream_id":" s","partition_key"`},
		"an event without a version": {`"version":1,`, ``},
		"an event that is null":      {`"events":[`, `"events":[null,`},
		"NUL in a payload":           {`{"n":1}`, `{"n":"\u0000"}`},
		"invalid UTF-8":              {`{"n":1}`, "{\"n\":\"\xff\"}"},
		"a version that is a string": {`"current_version":3`, `"current_version":"3"`},
		"cut off":                    {`]`, ``},
	} {
		doc := strings.Replace(string(raw), change[0], change[1], 1)
		require.NotEqual(t, string(raw), doc, name)
		s := load(t, 0, 1, 1, 1)
		before := s.Clone()
		require.Error(t, json.Unmarshal([]byte(doc), s), name)
		require.Equal(t, before, s, "%s: the stream keeps its value", name)
	}
	for _, doc := range []string{`null`, `[]`, `{}`, `"s"`} {
		require.Error(t, new(eventstream.EventStream).UnmarshalJSON([]byte(doc)), doc)
	}
	broken := strings.Replace(string(raw), `"watermark":2`, `"watermark":4`, 1)
	require.ErrorIs(t, json.Unmarshal([]byte(broken), eventstream.New("s")), eventstream.ErrReconstruct)
}

func TestAStreamThatNobodyCouldReadBackIsNotWritten(t *testing.T) {
	t.Parallel()
	for _, id := range []eventstream.StreamID{"", " s", "s\xff"} {
		_, err := json.Marshal(eventstream.New(id))
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, "%q", id)
	}
}
