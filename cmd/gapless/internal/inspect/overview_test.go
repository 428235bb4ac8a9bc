package inspect

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStreamsByCategoryAndTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	page := b.get("/streams")
	require.Contains(t, page, fmt.Sprintf("%d streams", b.count(`SELECT count(*) FROM eventstream.events WHERE version = 1`)))
	require.Contains(t, page, `<a href="/streams?category=order&amp;tenant=acme"><bdi>order</bdi></a></td><td><bdi>acme</bdi></td><td class="n">10</td>`)
	require.Contains(t, page, `<a href="/streams?category=order&amp;tenant=default"><bdi>order</bdi></a></td><td><bdi>default</bdi></td><td class="n">30</td>`)
	_, largest, _ := strings.Cut(page, `id="largest"`)
	require.Less(t, strings.Index(largest, "device-9"), strings.Index(largest, "order-3<"), "three events before two")
	require.Contains(t, page, `<span class="tag warn">10</span>`, "the highest version, above the watermark")

	b.append("order", "order.odd", nil)
	b.append("orders-1", "order.odd", nil)
	listed := regexp.MustCompile(`class="row-link" href="/stream\?id=([^"]+)"`).FindAllStringSubmatch(b.get("/streams?category=order"), -1)
	require.Len(t, listed, 41)
	for _, found := range listed {
		require.Regexp(t, `^order(-\d+)?$`, found[1])
	}
}

func TestStreamsPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 120 {
		b.append(fmt.Sprintf("order-%d", i), "order.placed", nil)
	}
	b.append("other-1", "other.placed", nil)
	seen := map[string]bool{}
	pages := 0
	for path := "/streams?category=order"; path != ""; pages++ {
		page := b.get(path)
		for _, found := range regexp.MustCompile(`class="row-link" href="/stream\?id=([^"]+)"`).FindAllStringSubmatch(page, -1) {
			require.False(t, seen[found[1]])
			seen[found[1]] = true
		}
		_, rest, found := strings.Cut(page, `href="/streams?category=order&amp;after=`)
		path = ""
		if found {
			after, _, _ := strings.Cut(rest, `"`)
			path = "/streams?category=order&after=" + after
		}
	}
	require.Len(t, seen, 120)
	require.Equal(t, 3, pages)
}

// Charts show as much as there is, whether the log has marks or not.
func TestActivityCountsEveryEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	insert := func(from, to int) {
		b.exec(`INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id)
			SELECT 'order-' || n, 1, 'order.placed', jsonb_build_object('n', repeat('x', n % 500)), eventstream.partition_of('order-' || n, eventstream.partition_count())
			FROM generate_series($1::integer, $2) AS n ORDER BY n`, from, to)
	}
	insert(1, 3000)
	page := b.get("/activity")
	require.Contains(t, page, `<strong class="num">3,000</strong> events, by UTC.`)
	require.NotContains(t, page, "counted by marks")
	b.exec(`SELECT eventstream.advance_stable_position()`)
	insert(3001, 3100)
	// Times of a store that is older than an hour.
	b.exec(`SET session_replication_role = replica; UPDATE eventstream.log_marks SET recorded_at = recorded_at - interval '2 hours';
		UPDATE eventstream.events SET recorded_at = recorded_at - interval '2 hours' WHERE position <= 3000; RESET session_replication_role`)
	day := b.get("/activity?period=day")
	require.Contains(t, day, "counted by marks of the log")
	var total, cells int64
	for _, found := range regexp.MustCompile(`<rect class="bar"[^>]*><title>[^<]*: ([\d,]+)</title>`).FindAllStringSubmatch(section(day, "rate"), -1) {
		total += parse(t, found[1])
	}
	require.InDelta(t, 3100, total, 30, "rounded in each bar")
	for _, found := range regexp.MustCompile(`<title>partition \d+: ([\d,]+) events`).FindAllStringSubmatch(day, -1) {
		cells += parse(t, found[1])
	}
	require.EqualValues(t, 3100, cells)
	require.NotContains(t, section(b.get("/activity"), "rate"), "3,1")
	var sizes int64
	for _, found := range regexp.MustCompile(`<title>up to [^<]*: ([\d,]+)</title>`).FindAllStringSubmatch(day, -1) {
		sizes += parse(t, found[1])
	}
	require.EqualValues(t, 3100, sizes)
}

func parse(t *testing.T, text string) (n int64) {
	t.Helper()
	_, err := fmt.Sscan(strings.ReplaceAll(text, ",", ""), &n)
	require.NoError(t, err)
	return n
}

// section is a part of a page, by the id of its heading.
func section(page, id string) string {
	_, rest, _ := strings.Cut(page, `aria-labelledby="`+id+`"`)
	part, _, _ := strings.Cut(rest, "</section>")
	return part
}

func TestSubscriptionsShowLagAndWhatIsParked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	b.exec(`SELECT * FROM eventstream.begin_rebuild('order_totals', 1, 1, '{}', false)`)
	b.exec(`UPDATE eventstream.subscription_shards SET failing_position = 30, failing_since = now(), tries = 3, last_error = 'no route to host' WHERE subscription = 'search'`)
	b.exec(`SELECT eventstream.request_rebuild('order_totals')`)
	page := b.get("/subscriptions")
	require.Contains(t, section(page, "projections"), `<span class="state">waiting</span> by `)
	require.Contains(t, section(page, "projections"), `, no process runs it`)
	require.Equal(t, 6, strings.Count(page, "data-shard="))
	require.Contains(t, page, "no route to host")
	require.Contains(t, page, `<a href="/event?position=30">at 30</a>`)
	parked := section(page, "parked")
	require.Equal(t, 2, strings.Count(parked, "550 no such user"))
	require.Contains(t, parked, `href="/event?position=12"`)
	require.Contains(t, section(page, "projections"), "interrupted")
	require.Contains(t, section(page, "projections"), `<progress max="76" value="0"`)
	request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.URL+"/subscriptions/follow", nil)
	require.NoError(t, err)
	response, err := b.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	buffer := make([]byte, 64)
	_, err = response.Body.Read(buffer)
	require.NoError(t, err)
	require.Contains(t, string(buffer), "event: lag\ndata: [{\"key\":\"mailer/0\"")
}

func TestSubscriptionsSkipIsOnRecord(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	csrf := csrfOf(t, b.get("/subscriptions"))
	skip := func(name, position, reason string) int {
		return b.do(http.MethodPost, b.URL+"/subscriptions/skip", url.Values{"csrf": {csrf}, "subscription": {name}, "position": {position}, "reason": {reason}}).StatusCode
	}
	require.Equal(t, http.StatusBadRequest, skip("mailer", "12", "  "))
	require.Equal(t, http.StatusBadRequest, skip("mailer", "x", "why"))
	require.Equal(t, http.StatusNotFound, skip("mailer", "13", "why"), "it is not parked")
	require.Equal(t, http.StatusNotFound, skip("nobody", "12", "why"))
	require.Equal(t, http.StatusSeeOther, skip("mailer", "12", "ticket 77"))
	require.EqualValues(t, 1, b.count(`SELECT count(*) FROM eventstream.subscription_skips WHERE position = 12 AND reason = 'ticket 77'`))
	require.EqualValues(t, 1, b.count(`SELECT count(*) FROM eventstream.parked_events`))
	require.Contains(t, b.get("/subscriptions?done=skipped"), "that is on record")
}

func TestSubscriptionsReplay(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	replay := func(address string) answer {
		csrf := csrfOf(t, b.do(http.MethodGet, address+"/health", nil).body)
		return b.do(http.MethodPost, address+"/subscriptions/replay", url.Values{"csrf": {csrf}, "subscription": {"mailer"}})
	}
	require.Contains(t, replay(b.URL).body, "--replay-exec")
	var asked []string
	pages := b.serve(func(c *Config) {
		c.AllowWrites = true
		c.Replay = replayer(func(name string) (int, error) { asked = append(asked, name); return 2, nil })
	})
	require.Contains(t, b.do(http.MethodGet, pages.URL+"/subscriptions", nil).body, "Replay 2 parked")
	require.Equal(t, http.StatusSeeOther, replay(pages.URL).StatusCode)
	require.Equal(t, []string{"mailer"}, asked)
	failing := b.serve(func(c *Config) {
		c.AllowWrites = true
		c.Replay = replayer(func(string) (int, error) { return 1, fmt.Errorf("the program said \x1b[31mno") })
	})
	a := replay(failing.URL)
	require.Equal(t, http.StatusConflict, a.StatusCode)
	require.Contains(t, a.body, `Events handled: 1. Then it stopped: the program said \x1b[31mno`)
}
