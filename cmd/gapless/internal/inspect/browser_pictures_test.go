package inspect

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// The pictures of docs/inspector.md are of these pages. With UPDATE_PICTURES=1 they are taken anew.
func TestBrowserPictures(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	position := b.count(`SELECT position FROM eventstream.events WHERE event_id = $1`, causeID)
	for _, p := range []struct {
		name, path    string
		width, height int64
		scheme        string
	}{
		{"log-light", "/log", 1280, 800, "light"},
		{"log-phone-light", "/log", 360, 720, "light"},
		{"event-light", fmt.Sprintf("/event?position=%d", position), 1280, 900, "light"},
		{"stream-dark", "/stream?id=order-1&at=3&compare=1", 1280, 900, "dark"},
		{"stream-phone-dark", "/stream?id=device-9", 360, 720, "dark"},
		{"activity-dark", "/activity", 1280, 720, "dark"},
		{"subscriptions-light", "/subscriptions", 1280, 900, "light"},
	} {
		if p.name == "activity-dark" {
			// An hour in which somebody worked.
			b.exec(`SET session_replication_role = replica;
				UPDATE eventstream.events SET recorded_at = now() - make_interval(secs => 3500 * power(abs(sin(position * 1.7)), 1.5)); RESET session_replication_role`)
		}
		tab := open(t, b.URL, p.width, p.height, p.scheme)
		tab.visit(p.path)
		if p.name == "subscriptions-light" {
			tab.showLag(b)
		}
		tab.picture(p.name)
	}
	// Whoever turns the triggers off can damage history; the audit says so.
	b.exec(`SET session_replication_role = replica; DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2;
		UPDATE eventstream.events SET tenant_id = 'acme' WHERE stream_id = 'order-3' AND version = 2; RESET session_replication_role`)
	tx, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context())
	_, err = b.repo.WithTx(tx).Append(t.Context(), "order-2", eventstream.Any, eventstream.EventOf("order.paid", map[string]any{}))
	require.NoError(t, err)
	b.append("order-5", "order.closed", map[string]any{})
	tab := open(t, b.URL, 1280, 900, "light")
	tab.visit("/health")
	tab.runAudit()
	tab.picture("health-light")
}

// runAudit presses the button, and waits for what comes out.
func (b *tab) runAudit() {
	b.t.Helper()
	b.run(clickOn("form[action='/health/audit'] button"))
	b.until(`document.querySelector("#light:not(.grey)") !== null && document.querySelector("#audit-running") === null`)
}

// showLag lets the lag rise while the page is open.
func (b *tab) showLag(store *bundle) {
	b.t.Helper()
	for i := range 6 {
		was := b.text("[data-shard='search/0'] [data-lag]")
		for range (i%3 + 1) * 4 {
			store.append("order-1", "order.noted", map[string]any{"n": i})
		}
		b.until(fmt.Sprintf(`document.querySelector("[data-shard='search/0'] [data-lag]").textContent !== %q`, was))
	}
}
