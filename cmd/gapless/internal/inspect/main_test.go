package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

var (
	server   *pgserver.Server
	migrated string
)

func TestMain(m *testing.M) { os.Exit(withServer(m)) }

// withServer runs the tests beside a server with a migrated template.
func withServer(m *testing.M) (code int) {
	ctx := context.Background()
	var err error
	if server, err = pgserver.Start(ctx, pgserver.Options{Log: os.Stderr, NeedSuperuser: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stderr, "PostgreSQL:", server.Origin)
	defer func() {
		if err := errors.Join(err, execute(server.DSN(""), "DROP DATABASE IF EXISTS "+migrated+" WITH (FORCE)"), server.Stop()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	migrated = newName()
	if err = execute(server.DSN(""), "CREATE DATABASE "+migrated); err != nil {
		return 1
	}
	pool, err := pgxpool.New(ctx, server.DSN(migrated))
	if err != nil {
		return 1
	}
	err = migrations.Up(ctx, pool, nil)
	pool.Close()
	if err != nil {
		return 1
	}
	defer stopChromium()
	return m.Run()
}

func newName() string { return "gapless_inspect_" + strings.ReplaceAll(uuid.NewString(), "-", "") }

func execute(dsn, sql string) error {
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), sql)
	return err
}

// bundle is a store of a test's own, and its pages.
type bundle struct {
	t    *testing.T
	ctx  context.Context
	pool *pgxpool.Pool
	repo *eventstream.Repository
	log  *lines
	*httptest.Server
	client *http.Client
}

// lines is what a server logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// setup gives a fresh store and pages of it, on a loopback address.
func setup(t *testing.T, changes ...func(*Config)) *bundle {
	t.Helper()
	name := newName()
	require.NoError(t, execute(server.DSN(""), "CREATE DATABASE "+name+" STRATEGY FILE_COPY TEMPLATE "+migrated))
	t.Cleanup(func() { require.NoError(t, execute(server.DSN(""), "DROP DATABASE "+name+" WITH (FORCE)")) })
	config, err := pgxpool.ParseConfig(server.DSN(name))
	require.NoError(t, err)
	config.MaxConns = 6
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	repo, err := eventstream.NewRepository(pool, nil)
	require.NoError(t, err)
	b := &bundle{t: t, ctx: t.Context(), pool: pool, repo: repo, log: &lines{}}
	b.Server = b.serve(changes...)
	b.client = b.Client()
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// serve serves the same store once more, in another way.
func (b *bundle) serve(changes ...func(*Config)) *httptest.Server {
	b.t.Helper()
	// A machine that runs many tests is slow; what takes too long has tests of its own.
	config := Config{Pool: b.pool, Log: b.log, Timeout: time.Minute, Poll: 20 * time.Millisecond}
	for _, change := range changes {
		change(&config)
	}
	pages, err := New(config)
	require.NoError(b.t, err)
	s := httptest.NewServer(pages)
	b.t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		pages.Close()
	})
	return s
}

// exec runs statements as the owner.
func (b *bundle) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.pool.Exec(b.ctx, sql, args...)
	require.NoError(b.t, err)
}

func (b *bundle) count(sql string, args ...any) (n int64) {
	b.t.Helper()
	require.NoError(b.t, b.pool.QueryRow(b.ctx, sql, args...).Scan(&n))
	return n
}

// append writes an event, and returns its position.
func (b *bundle) append(stream, kind string, payload any, opts ...eventstream.EventOption) int64 {
	b.t.Helper()
	result, err := b.repo.Append(b.ctx, eventstream.StreamID(stream), eventstream.Any, eventstream.EventOf(kind, payload, opts...))
	require.NoError(b.t, err)
	return result.LastPosition
}

// answer is what a request got.
type answer struct {
	*http.Response
	body string
}

func (b *bundle) do(method, address string, form url.Values, change ...func(*http.Request)) answer {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.ctx, method, address, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	request.Header.Set("Accept", "text/html")
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, f := range change {
		f(request)
	}
	response, err := b.client.Do(request)
	require.NoError(b.t, err)
	defer response.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	require.NoError(b.t, err)
	return answer{response, body.String()}
}

// get loads a page, which must be there and whole.
func (b *bundle) get(path string) string {
	b.t.Helper()
	a := b.do(http.MethodGet, b.URL+path, nil)
	require.Equal(b.t, http.StatusOK, a.StatusCode, "%s: %s", path, a.body)
	require.NotContains(b.t, a.body, `class="problem"`, path)
	require.Contains(b.t, a.body, "</html>", path)
	return a.body
}
