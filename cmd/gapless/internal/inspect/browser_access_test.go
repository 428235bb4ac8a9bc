package inspect

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// Everything can be reached and done by keyboard.
func TestBrowserKeyboardPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	tab := open(t, b.URL, 1280, 800, "light")
	tab.visit("/log")
	focused := func() string { return eval[string](tab, `document.activeElement.textContent.trim()`) }
	tab.key(kb.Tab)
	require.Equal(t, "Skip to content", focused())
	require.GreaterOrEqual(t, eval[float64](tab, `document.activeElement.getBoundingClientRect().top`), 0.0, "it is to be seen")
	tab.key(kb.Enter)
	tab.until(`document.activeElement.id === "main"`)
	tab.key("/")
	require.Equal(t, "type", eval[string](tab, `document.activeElement.name`))
	// The driver sends what a key writes apart from the key, past what the page says to the key.
	eval[any](tab, `document.activeElement.value = ""`)
	tab.key("gs") // in a field, keys are text
	require.Equal(t, "gs", eval[string](tab, `document.activeElement.value`))
	eval[any](tab, `document.activeElement.blur()`)
	tab.key("j")
	tab.key("j")
	tab.key("k")
	tab.key("j")
	require.Equal(t, tab.text("#rows tr:nth-child(2) .row-link"), focused())
	tab.key(kb.Enter)
	tab.until(`location.pathname === "/event"`)
	for key, path := range map[string]string{"s": "/streams", "a": "/activity", "u": "/subscriptions", "h": "/health", "l": "/log"} {
		tab.until(atWork)
		tab.key("g")
		tab.key(key)
		tab.until(`location.pathname === "` + path + `" && ` + atWork)
	}
	tab.visit("/log")
	tab.key("f")
	require.Equal(t, "true", eval[string](tab, `document.getElementById("follow").getAttribute("aria-pressed")`))
	tab.key("t")
	require.Equal(t, "light", eval[string](tab, `document.documentElement.dataset.theme`))
	tab.key("t")
	require.Equal(t, "dark", eval[string](tab, `getComputedStyle(document.documentElement).colorScheme`))
	tab.visit("/streams")
	require.Equal(t, "dark", eval[string](tab, `document.documentElement.dataset.theme`), "it is kept")
	tab.key("?")
	require.True(t, eval[bool](tab, `document.getElementById("keys").open`))
	tab.key(kb.Escape)
	require.False(t, eval[bool](tab, `document.getElementById("keys").open`))
	// Who dictates can switch single keys off.
	eval[any](tab, `document.querySelector("[data-keys-on]").click()`)
	tab.key("t")
	require.Equal(t, "dark", eval[string](tab, `document.documentElement.dataset.theme`))
}

// focusProblems walks through a page by Tab, and says what cannot be seen when it has the focus.
const focusProblems = `(() => {
	const seen = [];
	for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), summary, [tabindex='0']")) {
		if (!e.checkVisibility({ visibilityProperty: true }) || e.closest("dialog:not([open])") || e.disabled) continue;
		e.focus({ focusVisible: true });
		const style = getComputedStyle(e), inner = e.querySelector("rect") && getComputedStyle(e.querySelector("rect"));
		const visible = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || inner && parseFloat(inner.strokeWidth) >= 3;
		if (document.activeElement !== e || !visible) seen.push(e.outerHTML.slice(0, 150));
	}
	return seen;
})()`

func TestBrowserFocusIsVisible(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	tab := open(t, b.URL, 1280, 800, "light")
	for _, path := range everyPage {
		tab.visit(path)
		require.Empty(t, eval[[]string](tab, focusProblems), path)
	}
}

// nameProblems gives what has no name for who cannot see it: fields, buttons, links, regions, drawings.
const nameProblems = `(() => {
	const text = id => document.getElementById(id)?.textContent.trim();
	const seen = [];
	for (const e of document.querySelectorAll("a, button, input:not([type=hidden]), [role=region], svg[role], form[role=search], nav, dialog, section[aria-labelledby], progress, th")) {
		const name = e.getAttribute("aria-label") || text(e.getAttribute("aria-labelledby")) || e.labels?.[0]?.textContent.trim() ||
			(e.matches("a, button, th") && e.textContent.trim());
		if (!name) seen.push(e.outerHTML.slice(0, 150));
	}
	for (const id of [...document.querySelectorAll("[id]")].map(e => e.id)) {
		if (document.querySelectorAll("#" + CSS.escape(id)).length > 1) seen.push("twice: " + id);
	}
	if (!document.documentElement.lang || !document.title) seen.push("no language or title");
	return seen;
})()`

func TestBrowserEverythingHasAName(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	tab := open(t, b.URL, 1280, 800, "light")
	for _, path := range everyPage {
		tab.visit(path)
		require.Empty(t, eval[[]string](tab, nameProblems), path)
	}
}

// contrastProblems gives texts whose contrast with what is behind them is below what WCAG AA asks for.
const contrastProblems = `(() => {
	const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
	const context = canvas.getContext("2d", { willReadFrequently: true });
	const rgba = colour => { context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
	const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3])).concat(1);
	const light = ([r, g, b]) => { const f = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
		return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
	const ground = e => { const layers = [];
		for (let p = e; p; p = p.parentElement) {
			const before = p.tagName === "text" && p.parentElement.querySelector("rect");
			if (before && before.parentElement === p.parentElement && p.parentElement.matches("g, a.box")) {
				const fill = getComputedStyle(before).fill; if (fill !== "none") layers.push(rgba(fill));
			}
			layers.push(rgba(getComputedStyle(p).backgroundColor));
		}
		return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]); };
	const seen = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let checked = 0;
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.checkVisibility() || e.closest("title, script, dialog:not([open]), :disabled")) continue;
		const style = getComputedStyle(e), svg = e.namespaceURI.endsWith("svg"), under = ground(e);
		const [a, b] = [light(over(rgba(svg ? style.fill : style.color), under)), light(under)];
		const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		checked++;
		if (contrast < 4.5) seen.push(contrast.toFixed(2) + " " + n.data.trim().slice(0, 40) + " " + e.outerHTML.slice(0, 100));
	}
	if (checked < 20) seen.push("only " + checked + " texts");
	return [...new Set(seen)];
})()`

func TestBrowserContrast(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	b.exec(`UPDATE eventstream.subscription_shards SET failing_position = 30, failing_since = now(), tries = 3, last_error = 'no route to host' WHERE subscription = 'search'`)
	b.exec(`SET session_replication_role = replica; DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2; RESET session_replication_role`)
	b.audited()
	for _, scheme := range []string{"light", "dark"} {
		tab := open(t, b.URL, 1280, 900, scheme)
		for _, path := range everyPage {
			tab.visit(path)
			require.Empty(t, eval[[]string](tab, contrastProblems), "%s, %s", path, scheme)
		}
		tab.key("?")
		require.Empty(t, eval[[]string](tab, contrastProblems), scheme)
	}
}
