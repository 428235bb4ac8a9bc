package inspect

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

func (b *bundle) pages(changes ...func(*Config)) *Server {
	b.t.Helper()
	config := Config{Pool: b.pool, Log: b.log, Timeout: time.Minute}
	for _, change := range changes {
		change(&config)
	}
	pages, err := New(config)
	require.NoError(b.t, err)
	b.t.Cleanup(pages.Close)
	return pages
}

func TestReadTransactionsCannotWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	for _, begin := range []string{b.pages().begin, beginAudit} {
		for _, sql := range []string{
			`SELECT eventstream.append('order-1', 'order.forged')`, `SELECT eventstream.advance_stable_position()`, `CREATE TABLE public.x ()`,
			`SELECT eventstream.skip_event('mailer', 12, 'forged')`, `UPDATE eventstream.subscriptions SET paused = true`,
		} {
			err := b.pages().readAs(b.ctx, begin, func(tx pgx.Tx) error {
				_, err := tx.Exec(b.ctx, sql)
				return err
			})
			var cause *pgconn.PgError
			if sql == `SELECT eventstream.advance_stable_position()` {
				require.NoError(t, err) // it says where the log is stable, and keeps nothing
				continue
			}
			require.ErrorAs(t, err, &cause, sql)
			require.Equal(t, "25006", cause.Code, sql)
		}
	}
	require.Zero(t, b.count(`SELECT stable_position FROM eventstream.log_state`))
}

// Whatever pages are loaded and followed, the store is as it was.
func TestReadPagesChangeNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	state := func() (text string) {
		var rows []string
		for _, table := range []string{"events", "pending_events", "log_state", "log_marks", "subscriptions", "subscription_shards", "parked_events", "subscription_skips"} {
			require.NoError(t, b.pool.QueryRow(b.ctx, fmt.Sprintf(`SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM eventstream.%s AS t`, table)).Scan(&text))
			rows = append(rows, text)
		}
		return strings.Join(rows, "\n")
	}
	before := state()
	for _, path := range everyPage {
		b.get(path)
	}
	csrf := csrfOf(t, b.get("/health"))
	for _, path := range []string{"/subscriptions/skip", "/subscriptions/replay"} {
		a := b.do(http.MethodPost, b.URL+path, url.Values{"csrf": {csrf}, "subscription": {"mailer"}, "position": {"12"}, "reason": {"x"}})
		require.Equal(t, http.StatusForbidden, a.StatusCode, path)
		require.Contains(t, a.body, "--allow-writes")
	}
	require.NotContains(t, b.get("/subscriptions"), "<button>Skip")
	require.Equal(t, before, state())
}

func TestReadThatTakesTooLongSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.pages(func(c *Config) { c.Timeout = 20 * time.Millisecond })
	p := fill(b.ctx, s, func(tx pgx.Tx) (int, error) {
		_, err := tx.Exec(b.ctx, `SELECT pg_sleep(60)`)
		return 0, err
	})
	require.Contains(t, p.Problem, "This took longer than 20ms and was stopped")
	require.Contains(t, p.Problem, "Narrow the filter")
}

// A part of a page that cannot be read says why; the others are there.
func TestReadAProblemIsThatOfItsPanel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	b.exec(`DROP VIEW eventstream.audit_projections`)
	a := b.do(http.MethodGet, b.URL+"/subscriptions", nil)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Contains(t, a.body, "gapless migrate up")
	require.Contains(t, a.body, `data-shard="mailer/3"`)
	require.Contains(t, a.body, "550 no such user")
}

func TestReadNeedsNoMoreThanSelect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	role := newName()[:40]
	b.exec(`CREATE ROLE ` + role + ` LOGIN PASSWORD 'test'`)
	t.Cleanup(func() { _, _ = b.pool.Exec(t.Context(), `SELECT 1`) })
	b.exec(`GRANT USAGE ON SCHEMA eventstream TO ` + role)
	b.exec(`GRANT eventstream_all_tenants TO ` + role)
	u, err := url.Parse(b.pool.Config().ConnString())
	require.NoError(t, err)
	u.User = url.UserPassword(role, "test")
	pool, err := pgxpool.New(b.ctx, u.String())
	require.NoError(t, err)
	t.Cleanup(func() {
		pool.Close()
		require.NoError(t, execute(b.pool.Config().ConnString(), `DROP OWNED BY `+role+`; DROP ROLE `+role))
	})
	pages := b.serve(func(c *Config) { c.Pool = pool })
	require.Contains(t, b.do(http.MethodGet, pages.URL+"/log", nil).body, "connect as a role that may read")
	b.exec(`GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO ` + role)
	for _, path := range everyPage {
		a := b.do(http.MethodGet, pages.URL+path, nil)
		require.Equal(t, http.StatusOK, a.StatusCode, path)
		require.NotContains(t, a.body, `class="problem"`, path)
	}
}

func TestReadOfADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pool, err := pgxpool.New(b.ctx, "postgres://nobody@127.0.0.1:1/none?connect_timeout=2")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	pages := b.serve(func(c *Config) { c.Pool = pool })
	a := b.do(http.MethodGet, pages.URL+"/log", nil)
	require.Contains(t, a.body, "The database does not answer.")
	require.Contains(t, b.log.String(), "127.0.0.1:1")
	require.Contains(t, b.pages().problem(errors.New("something")), "something")
}
