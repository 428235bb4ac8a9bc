package inspect

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

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
	b.exec(`ANALYZE eventstream.events`) // the largest streams are those that the planner knows
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
