package inspect

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// loginView is the form that asks for the token.
type loginView struct {
	Next  string
	Wrong bool
}

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request) {
	if s.Token == "" {
		http.Redirect(w, r, "/log", http.StatusSeeOther)
		return
	}
	s.render(w, r, http.StatusOK, "login", "Log in", loginView{Next: ownPath(r.URL.Query().Get("next"))})
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	next := ownPath(r.PostFormValue("next"))
	if s.Token == "" || !s.isToken(r.PostFormValue("token")) {
		s.render(w, r, http.StatusUnauthorized, "login", "Log in", loginView{Next: next, Wrong: true})
		return
	}
	http.SetCookie(w, s.cookie(r, s.newSession(time.Now()), int(sessionTime.Seconds())))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, s.cookie(r, "", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (s *Server) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	}
}

// ownPath keeps a redirect on this server.
func ownPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		return "/log"
	}
	return next
}
