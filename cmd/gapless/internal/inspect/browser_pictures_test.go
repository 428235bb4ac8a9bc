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
		tab := open(t, b.URL, p.width, p.height, p.scheme)
		tab.visit(p.path)
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
	b.until(`document.querySelector("#light")?.className !== "light grey" && !document.querySelector("#audit-running")`)
}
