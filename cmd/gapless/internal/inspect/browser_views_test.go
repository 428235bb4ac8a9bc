package inspect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Each view opens in a desktop's and a phone's width without a complaint of the browser, and nothing is wider than the screen.
func TestBrowserOpensEachView(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	for _, width := range []int64{1280, 360} {
		tab := open(t, b.URL, width, 800, "light")
		for _, path := range everyPage {
			tab.visit(path)
			require.NotEmpty(t, tab.text("h1"), path)
			require.EqualValues(t, width, eval[int64](tab, `document.documentElement.scrollWidth`), "%s is wider than %d", path, width)
			require.Equal(t, 1, eval[int](tab, `document.querySelectorAll("h1").length`), path)
		}
	}
}

func TestBrowserFiltersTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	tab := open(t, b.URL, 1280, 800, "light")
	tab.visit("/log")
	require.Equal(t, logPage, eval[int](tab, `document.querySelectorAll("#rows tr").length`))
	tab.run(chromedp.SendKeys(chromedp.CSS("input[name=type]"), "order.paid"+kb.Enter))
	want := fmt.Sprint(b.count(`SELECT count(*) FROM eventstream.events WHERE type = 'order.paid'`))
	tab.until(`document.querySelectorAll("#rows tr").length == ` + want)
	require.Equal(t, "order.paid", eval[string](tab, `document.querySelector("input[name=type]").value`))
	tab.run(clickOn("#rows tr:first-child .row-link"))
	tab.until(`document.querySelector("h1").textContent.trim() === "order.paid"`)
	require.Contains(t, tab.text(".json"), `by: "card"`)
	tab.run(clickOn("[data-fold=close]"))
	require.Equal(t, 0, eval[int](tab, `document.querySelectorAll(".json details[open]").length - document.querySelectorAll("[aria-labelledby=metadata] details[open]").length`))
}

// A page follows while a writer appends: every event shows, once, newest first, and what does not fit the filter never does.
func TestBrowserFollowsAWriter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("order-1", "order.placed", map[string]any{"n": 0})
	tab := open(t, b.URL, 1280, 800, "light")
	tab.visit("/log?category=order")
	require.Equal(t, "false", eval[string](tab, `document.getElementById("follow").getAttribute("aria-pressed")`))
	tab.run(clickOn("#follow"))
	tab.until(`document.getElementById("live").textContent.startsWith("Following")`)
	for i := range 30 {
		b.append("order-1", "order.noted", map[string]any{"n": i + 1})
		b.append("other-1", "other.noted", map[string]any{"n": i + 1})
	}
	tab.until(`document.getElementById("live").textContent.startsWith("30 new")`)
	require.Equal(t, b.expected(`stream_id = 'order-1'`), eval[[]int64](tab,
		`[...document.querySelectorAll("#rows .row-link")].map(a => Number(new URL(a.href).searchParams.get("position")))`))
	tab.until(`document.getElementById("stable").textContent === "61"`)
	tab.run(clickOn("#follow"))
	require.Equal(t, "Follow", tab.text("#follow"))
	require.Equal(t, "false", eval[string](tab, `document.getElementById("follow").getAttribute("aria-pressed")`))
}

func TestBrowserDrawsLagAsItGrows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	tab := open(t, b.URL, 1280, 800, "light")
	tab.visit("/subscriptions")
	tab.until(`document.querySelector("[data-shard='search/0'] polyline").getAttribute("points").split(" ").length > 2`)
	before := tab.text("[data-shard='search/0'] [data-lag]")
	b.append("order-1", "order.noted", nil)
	tab.until(fmt.Sprintf(`Number(document.querySelector("[data-shard='search/0'] [data-lag]").textContent) === 1 + Number(%q)`, before))
}

func TestBrowserShowsTampering(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("order-1", "order.placed", nil)
	b.append("order-1", "order.paid", nil)
	tab := open(t, b.URL, 1280, 800, "light")
	tab.visit("/health")
	require.Equal(t, "not looked yet", tab.text("#light"))
	tab.runAudit()
	require.Equal(t, "clean", tab.text("#light"))
	b.exec(`SET session_replication_role = replica; DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 1; RESET session_replication_role`)
	tab.run(clickOn("form[action='/health/audit'] button"))
	tab.until(`document.querySelector("#light")?.className === "light red"`)
	require.Contains(t, tab.text("#rows"), "order-1")
	require.Equal(t, "errors: 1", tab.text("#light"))
}

// Whatever events say, the browser shows it and runs none of it.
func TestBrowserRunsNothingOfAnEvent(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	positions := hostile(b)
	b.subscribe("mailer", 1)
	b.exec(`SELECT eventstream.park_events('mailer', ARRAY[1, 2], 5, $1)`, script+bidi)
	tab := open(t, b.URL, 1280, 800, "dark")
	tab.visit("/log")
	tab.run(clickOn("#follow"))
	tab.until(`document.getElementById("live").textContent.startsWith("Following")`)
	b.append(`order-<script>window.hacked=1</script>"'&`+"\u202e", `<img src=x onerror=window.hacked=1>`, map[string]any{script: script})
	tab.until(`document.getElementById("live").textContent.startsWith("1 new")`)
	for _, path := range append([]string{""}, hostilePages(positions)...) {
		if path != "" {
			tab.visit(path)
		}
		require.Equal(t, "undefined", eval[string](tab, `typeof window.hacked`), path)
		require.Zero(t, eval[int](tab, `document.querySelectorAll("main script, main img, main iframe, main svg[onload]").length`), path)
		require.LessOrEqual(t, eval[int64](tab, `document.documentElement.scrollWidth`), int64(1280), path)
	}
	// The policy would hold even if a value came through.
	require.True(t, eval[bool](tab, `(() => {
		const s = document.createElement("script"); s.textContent = "window.inline = 1"; document.head.append(s);
		return window.inline === undefined; })()`))
	tab.until(`true`)
	tab.forgive("Content Security Policy")
}

// forgive leaves out what a test brought about itself.
func (b *tab) forgive(text string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var rest []string
	for _, problem := range b.problems {
		if !strings.Contains(problem, text) {
			rest = append(rest, problem)
		}
	}
	b.problems = rest
}

func TestBrowserLogsIn(t *testing.T) {
	t.Parallel()
	b := setup(t, withToken)
	b.append("order-1", "order.placed", map[string]any{"n": 1}, eventstream.WithTenant("acme"))
	tab := open(t, b.URL, 1280, 800, "light")
	tab.visit("/streams")
	require.Equal(t, "Log in", tab.text("h1"))
	require.Equal(t, "token", eval[string](tab, `document.activeElement.name`))
	tab.run(chromedp.SendKeys(chromedp.CSS("input[name=token]"), "not-the-token"+kb.Enter))
	tab.until(`document.querySelector("[role=alert]")?.textContent === "That is not the token."`)
	tab.run(chromedp.SendKeys(chromedp.CSS("input[name=token]"), token+kb.Enter))
	tab.until(`document.querySelector("h1").textContent === "Streams"`)
	tab.visit("/log")
	tab.run(clickOn("#follow"))
	tab.until(`document.getElementById("live").textContent.startsWith("Following")`)
	tab.run(clickOn("form[action='/logout'] button"))
	tab.until(`document.querySelector("h1").textContent === "Log in"`)
	tab.forgive("401")
}

func TestBrowserSkipsAParkedEvent(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	tab := open(t, b.URL, 1120, 800, "light")
	tab.visit("/subscriptions")
	require.True(t, eval[bool](tab, `document.querySelector("form[action='/subscriptions/skip'] button").getBoundingClientRect().right <= innerWidth`),
		"nobody has to scroll sideways for the button")
	tab.run(chromedp.SendKeys(chromedp.CSS("form[action='/subscriptions/skip'] input[name=reason]"), "ticket 77"+kb.Enter))
	tab.until(`document.querySelector(".notice")?.textContent.includes("on record")`)
	require.EqualValues(t, 1, b.count(`SELECT count(*) FROM eventstream.subscription_skips WHERE reason = 'ticket 77'`))
}
