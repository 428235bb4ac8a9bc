package inspect

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	script = `</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"'><svg onload=window.hacked=1>{{.}}`
	// bidi turns the order of what follows, if it is let.
	bidi = "\u202egpj.exe\u2066\u2067\u200f"
)

// hostile fills a store with what somebody might write to harm who looks at it. It returns the positions.
func hostile(b *bundle) (positions []int64) {
	b.t.Helper()
	stream := `order-<script>window.hacked=1</script>"'&` + "\u202e"
	add := func(kind string, payload any, opts ...eventstream.EventOption) {
		positions = append(positions, b.append(stream, kind, payload, opts...))
	}
	add(`<img src=x onerror=window.hacked=1>`, map[string]any{script: script, "</title>": []any{script}},
		eventstream.WithMetadata(map[string]any{"correlation_id": script, "causation_id": script}))
	add("order.right-to-left", map[string]any{bidi: bidi, "hebrew": "שלום", "arabic": "مرحبا"})
	add("order.control", map[string]any{"escape": "\x1b]0;title\x07\x1b[31m\r\n\t\u0085\u2028\ufeff", "tag": "\U000e0041"})
	add("order.large", map[string]any{"text": strings.Repeat("<b>x</b>", 10<<20/8)})
	add("order.many", manyValues())
	add("order.deep", nil, deep(), eventstream.WithData([]byte{}))
	binary := make([]byte, 1<<20)
	for i := range binary {
		binary[i] = byte(i * 31 / 7)
	}
	add("order.binary", nil, eventstream.WithData(append([]byte("<script>window.hacked=1</script>\x00\xff\xfe"), binary...)))
	return positions
}

func deep() eventstream.EventOption {
	return eventstream.WithMetadata([]byte(`{"deep":` + strings.Repeat(`[`, 900) + strings.Repeat(`]`, 900) + `}`))
}

func manyValues() map[string]any {
	values := make([]int, 50_000)
	for i := range values {
		values[i] = i
	}
	return map[string]any{"values": values}
}

// hostilePages are all pages that show any of it.
func hostilePages(positions []int64) []string {
	paths := []string{
		"/log", "/streams", "/activity", "/subscriptions", "/health", "/log?type=%3Cscript%3E&category=%22%3E%3Cscript%3E&tenant=%27&stream=%3Csvg+onload%3D1%3E",
		"/streams?category=%22%3E%3Cscript%3E", "/stream?id=order-%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E%22%27%26%E2%80%AE&at=2&compare=1",
	}
	for _, position := range positions {
		paths = append(paths, fmt.Sprintf("/event?position=%d", position))
	}
	return paths
}

var value = regexp.MustCompile(` value="[^"]*"`)

func TestHostileValuesAreText(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	positions := hostile(b)
	b.subscribe("mailer", 1)
	b.exec(`SELECT eventstream.park_events('mailer', ARRAY[1, 2], 5, $1)`, script+bidi)
	seen := 0
	for _, path := range hostilePages(positions) {
		page := b.get(path)
		seen += strings.Count(page, "window.hacked")
		// The field of a form holds what was typed, as it is.
		shown := value.ReplaceAllString(page, "")
		for _, raw := range []string{"<script>window", "<img", "<svg onload", "\u202e", "\u2066", "\u2067", "\u200f", "\x1b", "\x07", "\u0085", "\u2028", "\ufeff", "\U000e0041", "\x00"} {
			require.False(t, strings.Contains(shown, raw), "%q in %s", raw, path)
		}
		require.Less(t, len(page), 1<<20, path)
	}
	require.Greater(t, seen, 10, "it was shown, as text")
	rtl := b.get(fmt.Sprintf("/event?position=%d", positions[1]))
	require.Contains(t, rtl, "<bdi>שלום</bdi>")
	require.Contains(t, rtl, `\u202egpj.exe\u2066`)
	require.Contains(t, b.get(fmt.Sprintf("/event?position=%d", positions[3])), "This is the beginning")
	require.Contains(t, b.get(fmt.Sprintf("/event?position=%d", positions[4])), "This is the beginning")
	require.Contains(t, b.get(fmt.Sprintf("/event?position=%d", positions[6])), "3c 73 63 72 69 70 74 3e")
}

// What is too large for a page can be had whole, as a file that no browser shows.
func TestHostileContentIsDownloadedWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	positions := hostile(b)
	get := func(path string) (*http.Response, []byte) {
		response, err := http.Get(b.URL + path)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Contains(t, response.Header.Get("Content-Disposition"), "attachment")
		require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
		return response, body
	}
	response, body := get(fmt.Sprintf("/event/payload?position=%d", positions[3]))
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	require.Greater(t, len(body), 10<<20)
	response, body = get(fmt.Sprintf("/event/data?position=%d", positions[6]))
	require.Equal(t, "application/octet-stream", response.Header.Get("Content-Type"))
	require.True(t, bytes.HasPrefix(body, []byte("<script>window.hacked=1</script>\x00\xff\xfe")))
	require.Greater(t, len(body), 1<<20)
}

// Rows that are sent to a page that follows are escaped as those of the page.
func TestHostileRowsThatFollowAreText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hostile(b)
	rows := b.followed("/log/follow?after=0", 7)
	for _, row := range rows {
		require.NotContains(t, row.data, "<script>")
		require.NotContains(t, row.data, "<img")
		require.NotContains(t, row.data, "\u202e")
	}
}
