package main

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func TestStreamIDIsValidAndOnePerPath(t *testing.T) {
	t.Parallel()
	seen := map[eventstream.StreamID]string{}
	for _, path := range oddPaths {
		id := streamID(path)
		require.NoError(t, id.Validate(), "%q", path)
		require.Equal(t, category, id.Category(), "%q", path)
		require.NotContains(t, seen, id)
		seen[id] = path
	}
	require.EqualValues(t, "file-a b", streamID("a b"))
	require.EqualValues(t, "file- leading", streamID(" leading"), "white space inside an id is allowed")
	require.Contains(t, streamID("trailing "), "file-sha256:")
	require.EqualValues(t, "file-"+strings.Repeat("y", 123), streamID(strings.Repeat("y", 123)))
	require.Contains(t, streamID(strings.Repeat("y", 124)), "file-sha256:")

	short := streamID("new\nline")
	require.NotEqual(t, short, streamID(strings.TrimPrefix(string(short), "file-")), "no path is named into another's stream")
}

// The ids are part of what a database holds: if they change, a second import doubles everything.
func TestEventIDNeverChanges(t *testing.T) {
	t.Parallel()
	require.Equal(t, "9adb1d8d-8bb7-5e81-99e8-0f17825c2706", eventID(hash1, "a b").String())
	require.NotEqual(t, eventID(hash1, "a"), eventID(hash1, "b"))
	require.NotEqual(t, eventID(hash1, "a"), eventID(hash256, "a"))
}

func TestPayload(t *testing.T) {
	t.Parallel()
	when := time.Unix(1_700_000_000, 0).UTC()
	requests, err := appendRequests(commit{hash: hash1, time: when, subject: "sub\xff", files: []fileChange{
		{path: "a", change: added, added: 3, removed: 0},
		{path: "b\xff", change: deleted, added: binary, removed: binary},
	}})
	require.NoError(t, err)
	require.Len(t, requests, 2)

	first := requests[0].Events[0]
	require.EqualValues(t, "file.added", first.Type)
	require.Equal(t, when, first.OccurredAt)
	require.JSONEq(t, `{"commit": "`+hash1+`", "path": "a", "lines_added": 3, "lines_removed": 0, "subject": "sub\ufffd",
		"time": "2023-11-14T22:13:20Z"}`, string(first.Payload))

	payload, err := eventstream.DecodePayload[filePayload](requests[1].Events[0])
	require.NoError(t, err)
	require.EqualValues(t, "file.deleted", requests[1].Events[0].Type)
	require.Nil(t, payload.LinesAdded)
	require.Nil(t, payload.LinesRemoved)
	require.Equal(t, "b\uFFFD", payload.Path)
	exact, err := base64.StdEncoding.DecodeString(payload.PathBytes)
	require.NoError(t, err)
	require.Equal(t, "b\xff", string(exact))
}

func TestSubjectIsBounded(t *testing.T) {
	t.Parallel()
	require.Equal(t, maxSubject+1, utf8.RuneCountInString(cleanSubject(strings.Repeat("ü", 10_000))))
	require.Equal(t, strings.Repeat("ü", maxSubject), cleanSubject(strings.Repeat("ü", maxSubject)))
}
