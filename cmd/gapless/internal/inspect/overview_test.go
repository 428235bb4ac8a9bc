package inspect

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
	page := b.get("/subscriptions")
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

func TestHealthShowsWhoHoldsTheLogBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	require.Contains(t, b.get("/health"), "Nobody holds it back")
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer tx.Rollback(b.ctx)
	var pid int64
	require.NoError(t, tx.QueryRow(b.ctx, `SELECT pg_backend_pid() FROM eventstream.append('order-1', 'order.noted')`).Scan(&pid))
	b.append("order-2", "order.noted", nil)
	page := section(b.get("/health"), "log-end")
	require.Contains(t, page, fmt.Sprintf(`<td class="n">76</td><td class="n">%d</td>`, pid))
	require.Contains(t, page, "idle in transaction")
	require.Contains(t, section(b.get("/health"), "holes"), `href="/stream?id=device-9"`)
}

// audited runs the audit, and gives the page that shows what came out.
func (b *bundle) audited() string {
	b.t.Helper()
	csrf := csrfOf(b.t, b.get("/health"))
	require.Equal(b.t, http.StatusSeeOther, b.do(http.MethodPost, b.URL+"/health/audit", url.Values{"csrf": {csrf}}).StatusCode)
	require.Contains(b.t, b.do(http.MethodGet, b.URL+"/health/follow", nil).body, "event: done")
	return b.get("/health")
}

func TestHealthAuditIsATrafficLight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("order-1", "order.placed", nil)
	b.append("order-1", "order.paid", nil)
	require.Contains(t, b.get("/health"), `class="light grey"`)
	require.Contains(t, b.audited(), `class="light green"`)
	_, err := b.repo.Ingest(b.ctx, "device-1", b.reading(2))
	require.NoError(t, err)
	require.Contains(t, b.audited(), `class="light amber"`)
	b.exec(`SET session_replication_role = replica; DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 1; RESET session_replication_role`)
	page := b.audited()
	require.Contains(t, page, `class="light red"`)
	require.Contains(t, section(page, "audit"), `<span class="state bad">error</span></td><td>gaps</td><td><a class="row-link" href="/stream?id=order-1">`)
}

func TestHealthOneAuditAtATime(t *testing.T) {
	t.Parallel()
	var a auditor
	require.Nil(t, a.wait())
	require.True(t, a.start(time.Now()))
	require.False(t, a.start(time.Now()))
	require.True(t, a.view().Running)
	done := a.wait()
	a.finish(auditView{Light: "green"})
	<-done
	require.Equal(t, "green", a.view().Light)
	require.True(t, a.start(time.Now()))
}

// A server of one tenant shows nothing of another, whatever is asked for.
func TestTenantSeesItsOwnAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Tenant, c.AllowWrites = "acme", true })
	furnish(b)
	b.append("secret-1", "secret.type", map[string]any{"secret": "default's"}, meta("checkout-4", nil))
	b.exec(`UPDATE eventstream.subscription_shards SET failing_position = 1, failing_since = now(), tries = 3, last_error = 'secret error' WHERE subscription = 'search'`)
	b.exec(`SELECT eventstream.park_events('mailer', ARRAY[(SELECT position FROM eventstream.events WHERE stream_id = 'order-4' AND version = 1)], 5, 'of acme')`)
	mine := b.count(`SELECT position FROM eventstream.events WHERE stream_id = 'order-4' AND version = 1`)
	b.exec(`SET session_replication_role = replica; DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 1; RESET session_replication_role`)
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer tx.Rollback(b.ctx)
	_, err = tx.Exec(b.ctx, `SELECT eventstream.append('secret-1', 'secret.type')`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	b.append("order-4", "order.noted", nil)
	pages := []string{
		"/log", "/log?tenant=default", "/log?stream=secret-1", "/streams", "/streams?tenant=default", "/streams?category=secret", "/activity", "/activity?period=year",
		"/subscriptions", fmt.Sprintf("/event?position=%d", mine), "/stream?id=order-4",
	}
	for _, path := range pages {
		page := b.get(path)
		for _, word := range []string{`secret-1<`, "secret.type", "secret error", "default's", "customer-1<", ">default<", "device-9", "550 no such user", "stream?id=secret"} {
			require.False(t, strings.Contains(page, word), "%q in %s", word, path)
		}
	}
	health := b.audited()
	require.NotContains(t, health, "order-1<")
	require.NotContains(t, health, "device-9")
	require.NotContains(t, health, "secret")
	require.Contains(t, b.get("/subscriptions"), "of acme")
	require.Contains(t, b.get("/log"), "order-4")
	require.Contains(t, section(b.get("/activity"), "partitions"), `<strong class="num">11</strong> events`)
	for _, path := range []string{"/event?position=1", "/event/payload?position=1", "/event/data?position=1", "/stream?id=secret-1", "/stream?id=device-9", "/event?id=" + causeID.String()} {
		require.Equal(t, http.StatusNotFound, b.do(http.MethodGet, b.URL+path, nil).StatusCode, path)
	}
	csrf := csrfOf(t, health)
	skip := url.Values{"csrf": {csrf}, "subscription": {"mailer"}, "position": {"12"}, "reason": {"x"}}
	require.Equal(t, http.StatusNotFound, b.do(http.MethodPost, b.URL+"/subscriptions/skip", skip).StatusCode)
	rows := b.followed("/log/follow?after=0&tenant=default", 3)
	for _, row := range rows {
		require.NotContains(t, row.data, "secret")
		require.NotContains(t, row.data, ">default<")
	}
}
