package inspect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStreamShowsHolesAndWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	page := b.get("/stream?id=device-9")
	require.Contains(t, page, "Versions 1 to 10: there up to 3, 4 to 5 missing, 8 to 9 missing")
	require.Contains(t, page, "Versions 4 to 5 are missing")
	require.Equal(t, 3, strings.Count(page, `<tr class="waits">`))
	require.Equal(t, 3, strings.Count(page, `class="v-there"`))
	require.Equal(t, 4, strings.Count(page, `class="v-hole"`))
	require.Equal(t, 3, strings.Count(page, `class="v-waits"`))
	a := b.do(http.MethodGet, b.URL+"/stream?id=order-nothing", nil)
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	require.Contains(t, a.body, "There is no stream")
}

func TestStreamPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 130 {
		b.append("order-1", "order.noted", map[string]any{"n": i + 1})
	}
	seen := map[int64]bool{}
	for path := "/stream?id=order-1"; path != ""; {
		page := b.get(path)
		for _, position := range positionsOf(page) {
			require.False(t, seen[position])
			seen[position] = true
		}
		_, rest, found := strings.Cut(page, `href="/stream?id=order-1&amp;upto=`)
		path = ""
		if found {
			upto, _, _ := strings.Cut(rest, `"`)
			path = "/stream?id=order-1&upto=" + upto
		}
	}
	require.Len(t, seen, 130)
}

// The examples of RFC 7396, and what an event without an object does.
func TestStateMergesAsTheRFCSays(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":1}`, `null`, `{"a":1}`},
		{`{"a":1}`, `[1]`, `{"a":1}`},
		{`{"a":1}`, `{"n":12345678901234567890.10}`, `{"a":1,"n":12345678901234567890.10}`},
	} {
		state, err := decode(c[0])
		require.NoError(t, err)
		patch, err := decode(c[1])
		require.NoError(t, err)
		merged, err := json.Marshal(merge(state, patch))
		require.NoError(t, err)
		require.JSONEq(t, c[2], string(merged), "%s and %s", c[0], c[1])
	}
	kept, err := decode(`{"n":12345678901234567890.10}`)
	require.NoError(t, err)
	require.Equal(t, `{"n":12345678901234567890.10}`, text(merge(nil, kept)), "numbers keep their digits")
}

func TestStateDifference(t *testing.T) {
	t.Parallel()
	before, err := decode(`{"same":1,"gone":true,"inner":{"x":1,"a/b~":2},"list":[1]}`)
	require.NoError(t, err)
	now, err := decode(`{"same":1,"new":null,"inner":{"x":2,"a/b~":3},"list":[1,2]}`)
	require.NoError(t, err)
	changes, cut := difference(before, now)
	require.False(t, cut)
	require.Equal(t, []change{
		{"/gone", "removed", "true", ""},
		{"/inner/a~1b~0", "changed", "2", "3"},
		{"/inner/x", "changed", "1", "2"},
		{"/list", "changed", "[1]", "[1,2]"},
		{"/new", "added", "", "null"},
	}, changes)
	changes, _ = difference(nil, map[string]any{"a": json.Number("1")})
	require.Equal(t, []change{{"/a", "added", "", "1"}}, changes)
	many := map[string]any{}
	for i := range 2 * maxChanges {
		many[fmt.Sprint(i)] = true
	}
	changes, cut = difference(map[string]any{}, many)
	require.True(t, cut)
	require.Len(t, changes, maxChanges)
}

func TestStateAtAVersionAndSinceAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	page := b.get("/stream?id=order-1&at=3&compare=1")
	require.Contains(t, page, "State at version 3")
	require.Contains(t, page, `<code><bdi>/customer/city</bdi></code></td><td>removed</td><td><code><bdi>&#34;Zürich&#34;</bdi></code>`)
	require.Contains(t, page, `<code><bdi>/method</bdi></code></td><td>added</td>`)
	first := b.get("/stream?id=order-1&at=1&compare=0")
	require.NotContains(t, first, "/method")
	require.Contains(t, first, `<bdi>/total</bdi>`)
	require.Contains(t, b.get("/stream?id=order-1&at=3&compare=3"), "Nothing is different")
	require.Contains(t, b.get("/stream?id=order-1&at=99"), "State at version 3", "no version is above the last")
}

func TestStateBySQL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	pages := b.serve(func(c *Config) {
		c.StateSQL = `SELECT jsonb_build_object('events', count(*), 'last', max(version)) FROM eventstream.events WHERE stream_id = $1 AND version <= $2`
	})
	a := b.do(http.MethodGet, pages.URL+"/stream?id=order-1&at=2&compare=1", nil)
	require.Contains(t, a.body, `<bdi>/events</bdi></code></td><td>changed</td><td><code><bdi>1</bdi></code></td><td><code><bdi>2</bdi>`)
	require.Contains(t, a.body, "By the query that the server was started with")
	wrong := b.serve(func(c *Config) {
		c.StateSQL = `DELETE FROM eventstream.events WHERE stream_id = $1 AND version < $2 RETURNING payload`
	})
	require.Contains(t, b.do(http.MethodGet, wrong.URL+"/stream?id=order-1", nil).body, "The database said")
	require.EqualValues(t, 3, b.count(`SELECT count(*) FROM eventstream.events WHERE stream_id = 'order-1'`))
}

func TestStateOfALongStreamIsLeftOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id)
		SELECT 'long-1', n, 'long.noted', jsonb_build_object('n', n), eventstream.partition_of('long-1', eventstream.partition_count())
		FROM generate_series(1, $1) AS n ORDER BY n`, maxFold+1)
	require.Contains(t, b.get("/stream?id=long-1"), "is not computed here")
	require.Contains(t, b.get(fmt.Sprintf("/stream?id=long-1&at=%d", maxFold)), `<span class="j-number"><bdi>5000</bdi></span>`)
}

func TestTimelineOfManyVersions(t *testing.T) {
	t.Parallel()
	h := head{Watermark: 600, CurrentVersion: 1000}
	line := newTimeline(h, []waiting{{Version: 701}, {Version: 702}, {Version: 1000}}, 600, 0)
	require.Equal(t, []stretch{
		{"there", 1, 600, 0, 60}, {"hole", 601, 700, 60, 10}, {"waits", 701, 702, 70, 0.2}, {"hole", 703, 999, 70.2, 29.7}, {"waits", 1000, 1000, 99.9, 0.2},
	}, line.Stretches)
	require.Equal(t, []mark{{"at", 600, 59.95}}, line.Marks)
	require.Len(t, line.Holes, 2)
	require.Empty(t, newTimeline(head{}, nil, 0, 0).Stretches)
}
