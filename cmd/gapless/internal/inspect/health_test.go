package inspect

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
