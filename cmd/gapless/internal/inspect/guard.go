package inspect

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

// policy lets a page load what this server has, and nothing else: no inline script or style, no frame, no form to elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'"

// maxForm bounds what a form may send.
const maxForm = 64 << 10

// guard answers what may be answered: to a host name that is ours, to who knows the token, and changes from our own pages alone.
func (s *Server) guard(next http.Handler) http.Handler {
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		switch {
		case !s.knowsHost(r.Host):
			s.fail(w, http.StatusMisdirectedRequest, "This server does not go by the name "+output.Clean(r.Host)+": start it with --host, or use its address.")
		case !s.mayPass(r):
			s.refuse(w, r)
		case r.Method == http.MethodPost && !s.isOurForm(w, r):
			s.fail(w, http.StatusForbidden, "The form is not of this page, or the server was started anew: reload the page, and send it again.")
		default:
			next.ServeHTTP(w, r)
		}
	})
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		setHeaders(w.Header())
		s.fail(w, http.StatusForbidden, "The form comes from another site.")
	}))
	return protection.Handler(guarded)
}

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// knowsHost keeps out pages of others whose name was made to point here: such a name is none of ours, and no address.
func (s *Server) knowsHost(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return true
	}
	return slices.ContainsFunc(s.Hosts, func(name string) bool { return strings.EqualFold(name, host) })
}

func (s *Server) mayPass(r *http.Request) bool {
	if s.Token == "" || r.URL.Path == "/login" || strings.HasPrefix(r.URL.Path, "/assets/") {
		return true
	}
	if token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		return s.isToken(token)
	}
	cookie, err := r.Cookie(cookieName(r))
	return err == nil && s.isSession(cookie.Value)
}

// isToken compares in a time that says nothing of where the difference is, nor of the length.
func (s *Server) isToken(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.Token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// refuse asks people to log in, and tells programs what is missing.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="gapless inspect"`)
	s.fail(w, http.StatusUnauthorized, "The token is missing or wrong: send it as Authorization: Bearer, or log in.")
}

func (s *Server) isOurForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	return subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(s.csrf)) == 1
}

// sessionTime is how long a login lasts.
const sessionTime = 12 * time.Hour

// cookieName has the port: cookies of one host are shared by all of its ports.
func cookieName(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host)
	return "gapless_inspect_" + port
}

func (s *Server) newSession(now time.Time) string {
	until := strconv.FormatInt(now.Add(sessionTime).Unix(), 10)
	return until + "." + s.sign(until)
}

func (s *Server) isSession(value string) bool {
	until, signature, _ := strings.Cut(value, ".")
	if !hmac.Equal([]byte(signature), []byte(s.sign(until))) {
		return false
	}
	seconds, err := strconv.ParseInt(until, 10, 64)
	return err == nil && time.Now().Unix() < seconds
}

// sign is by a key that nobody else has, and that ends with the process.
func (s *Server) sign(text string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte("session " + text))
	return hex.EncodeToString(mac.Sum(nil))
}
