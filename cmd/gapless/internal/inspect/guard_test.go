package inspect

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const token = "a-token-of-a-test-0123456789"

// everyPage is each page of a furnished store.
var everyPage = []string{
	"/log", "/log?type=order.placed&category=order&partition=3", "/event?id=" + causeID.String(), "/stream?id=order-1&at=2&compare=1", "/stream?id=device-9",
	"/streams", "/streams?category=order", "/activity", "/activity?period=year", "/subscriptions", "/health",
}

func withToken(c *Config) { c.Token = token }

func TestGuardPagesNeedTheToken(t *testing.T) {
	t.Parallel()
	b := setup(t, withToken)
	furnish(b)
	bearer := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	for _, path := range append(everyPage, "/log/follow?after=0", "/subscriptions/follow", "/health/follow", "/event/payload?position=1", "/event/data?position=1") {
		a := b.do(http.MethodGet, b.URL+path, nil)
		require.Equal(t, http.StatusSeeOther, a.StatusCode, path)
		require.Equal(t, "/login?next="+url.QueryEscape(path), a.Header.Get("Location"))
		require.NotContains(t, a.body, "<main")
		for _, value := range []string{"", "Bearer ", "Bearer " + token + "x", "Bearer " + token[1:], "bearer " + token, "Basic " + token} {
			a = b.do(http.MethodGet, b.URL+path, nil, bearer(value), func(r *http.Request) { r.Header.Del("Accept") })
			require.Equal(t, http.StatusUnauthorized, a.StatusCode, "%s with %q", path, value)
			require.Contains(t, a.Header.Get("WWW-Authenticate"), "Bearer")
		}
	}
	require.Equal(t, http.StatusOK, b.do(http.MethodGet, b.URL+"/log", nil, bearer("Bearer "+token)).StatusCode)
	for _, path := range []string{"/subscriptions/skip", "/subscriptions/replay", "/health/audit"} {
		require.Equal(t, http.StatusUnauthorized, b.do(http.MethodPost, b.URL+path, url.Values{}).StatusCode, path)
	}
	_, err := New(Config{Pool: b.pool, Token: "short"})
	require.ErrorContains(t, err, "must have 16 or more")
}

func TestGuardLogin(t *testing.T) {
	t.Parallel()
	b := setup(t, withToken)
	page := b.get("/login?next=/streams")
	csrf := csrfOf(t, page)
	require.Contains(t, page, `value="/streams"`)
	wrong := b.do(http.MethodPost, b.URL+"/login", url.Values{"csrf": {csrf}, "token": {"wrong"}, "next": {"/streams"}})
	require.Equal(t, http.StatusUnauthorized, wrong.StatusCode)
	require.Contains(t, wrong.body, "That is not the token")
	require.Empty(t, wrong.Cookies())

	right := b.do(http.MethodPost, b.URL+"/login", url.Values{"csrf": {csrf}, "token": {token}, "next": {"/streams"}})
	require.Equal(t, http.StatusSeeOther, right.StatusCode)
	require.Equal(t, "/streams", right.Header.Get("Location"))
	require.Len(t, right.Cookies(), 1)
	cookie := right.Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.NotContains(t, cookie.Value, token)

	load := func(value string) int {
		return b.do(http.MethodGet, b.URL+"/log", nil, func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: cookie.Name, Value: value})
		}).StatusCode
	}
	require.Equal(t, http.StatusOK, load(cookie.Value))
	until, signature, _ := strings.Cut(cookie.Value, ".")
	later := strconv.FormatInt(time.Now().Add(100*time.Hour).Unix(), 10)
	for _, forged := range []string{"", ".", until, until + ".", later + "." + signature, "x" + cookie.Value, cookie.Value + "0"} {
		require.Equal(t, http.StatusSeeOther, load(forged), forged)
	}
	out := b.do(http.MethodPost, b.URL+"/logout", url.Values{"csrf": {csrf}}, func(r *http.Request) { r.AddCookie(cookie) })
	require.Equal(t, http.StatusSeeOther, out.StatusCode)
	require.Negative(t, out.Cookies()[0].MaxAge)
}

func TestGuardSessionsEnd(t *testing.T) {
	t.Parallel()
	s, other := &Server{key: []byte("one")}, &Server{key: []byte("two")}
	require.True(t, s.isSession(s.newSession(time.Now())))
	require.False(t, s.isSession(s.newSession(time.Now().Add(-sessionTime-time.Second))))
	require.False(t, s.isSession(other.newSession(time.Now())), "of another process")
}

func TestGuardLoginGoesNowhereElse(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"", "//evil.example", "https://evil.example/log", `/\evil.example`, `\\evil.example`, "evil", "javascript:alert(1)", "/%", "/\n//evil"} {
		require.Equal(t, "/log", ownPath(next), next)
	}
	require.Equal(t, "/stream?id=a%2Fb", ownPath("/stream?id=a%2Fb"))
}

// A page of a stranger whose name was made to point at this machine sends that name.
func TestGuardRefusesOtherHosts(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Hosts = []string{"inspect.example"} })
	status := func(host string) int {
		return b.do(http.MethodGet, b.URL+"/log", nil, func(r *http.Request) { r.Host = host }).StatusCode
	}
	for _, host := range []string{"evil.example", "evil.example:8787", "localhost.evil.example", "127.0.0.1.evil.example", "inspect.example.evil", "xn--localhost"} {
		require.Equal(t, http.StatusMisdirectedRequest, status(host), host)
	}
	for _, host := range []string{"localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8787", "192.0.2.7", "Inspect.Example:443"} {
		require.Equal(t, http.StatusOK, status(host), host)
	}
}

func TestGuardChangesComeFromOurPagesAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	csrf := csrfOf(t, b.get("/subscriptions"))
	form := url.Values{"csrf": {csrf}, "subscription": {"mailer"}, "position": {"12"}, "reason": {"ticket 77"}}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	without := url.Values{"csrf": {"guessed"}, "subscription": {"mailer"}, "position": {"12"}, "reason": {"x"}}
	for what, a := range map[string]answer{
		"a wrong token":    b.do(http.MethodPost, b.URL+"/subscriptions/skip", without),
		"no token":         b.do(http.MethodPost, b.URL+"/subscriptions/skip", url.Values{}),
		"another origin":   b.do(http.MethodPost, b.URL+"/subscriptions/skip", form, header("Origin", "https://evil.example")),
		"another site":     b.do(http.MethodPost, b.URL+"/subscriptions/skip", form, header("Sec-Fetch-Site", "cross-site")),
		"in the address":   b.do(http.MethodPost, b.URL+"/subscriptions/skip?"+form.Encode(), url.Values{}),
		"too large a form": b.do(http.MethodPost, b.URL+"/subscriptions/skip", url.Values{"x": {strings.Repeat("x", maxForm)}, "csrf": {csrf}}),
	} {
		require.Equal(t, http.StatusForbidden, a.StatusCode, what)
	}
	require.NotEqual(t, http.StatusSeeOther, b.do(http.MethodGet, b.URL+"/subscriptions/skip?"+form.Encode(), nil).StatusCode)
	require.Zero(t, b.count(`SELECT count(*) FROM eventstream.subscription_skips`))
	require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, b.URL+"/subscriptions/skip", form).StatusCode)
	require.EqualValues(t, 1, b.count(`SELECT count(*) FROM eventstream.subscription_skips`))
}

// No page has script, style or a handler in it, nor loads anything from elsewhere.
func TestGuardPagesHaveNothingInline(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AllowWrites = true })
	furnish(b)
	inline := regexp.MustCompile(`(?i)<script(>|[^>]*[^"]>)[^<]|<style|\sstyle=|\son[a-z]+\s*=|javascript:|<iframe|<object|<embed|(src|action)="(https?:)?//`)
	for _, path := range everyPage {
		a := b.do(http.MethodGet, b.URL+path, nil)
		require.Empty(t, inline.FindAllString(a.body, -1), path)
		require.Equal(t, policy, a.Header.Get("Content-Security-Policy"), path)
		require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	}
	for _, directive := range strings.Split(policy, "; ") {
		require.NotContains(t, directive, "unsafe")
		require.NotContains(t, directive, "*")
		require.NotContains(t, directive, "data:")
	}
	require.Equal(t, http.StatusNotFound, b.do(http.MethodGet, b.URL+"/assets/..%2finspect.go", nil).StatusCode)
	require.Equal(t, policy, b.do(http.MethodGet, b.URL+"/nothing", nil).Header.Get("Content-Security-Policy"))
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func csrfOf(t *testing.T, page string) string {
	t.Helper()
	found := csrfField.FindStringSubmatch(page)
	require.NotEmpty(t, found)
	return found[1]
}
