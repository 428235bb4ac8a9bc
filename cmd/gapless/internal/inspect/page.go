package inspect

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"path"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

//go:embed templates assets
var files embed.FS

// page is what every page has.
type page struct {
	Title  string
	View   string
	Tenant string
	// Session says that there is a login that can be ended.
	Session bool
	Writes  bool
	CSRF    string
	Notice  string
	Data    any
}

// views are the pages, by the name of their template.
var views = []string{"login", "problem", "log", "event", "stream", "streams", "activity", "subscriptions", "health"}

func parsePages() (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(template.FuncMap{
		"show": output.Clean, "brief": brief, "number": number, "size": output.Bytes, "when": when, "iso": iso, "span": span,
		"int": func(n int) int64 { return int64(n) }, "dict": dict, "add": func(a, b int64) int64 { return a + b },
	}).ParseFS(files, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range views {
		t, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if pages[name], err = t.ParseFS(files, "templates/"+name+".html"); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// dict hands several values to a part of a template.
func dict(pairs ...any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}

// render writes a page once it is whole.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, view, title string, data any) {
	p := page{
		Title: title, View: view, Tenant: string(s.Tenant), Session: s.Token != "" && view != "login", Writes: s.AllowWrites, CSRF: s.csrf, Data: data,
	}
	if r != nil {
		p.Notice = notices[r.URL.Query().Get("done")]
	}
	var b bytes.Buffer
	if err := s.pages[view].ExecuteTemplate(&b, "layout.html", p); err != nil {
		fmt.Fprintln(s.Log, "gapless inspect:", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // who left the page is gone
}

// notices are what a page says after something was done.
var notices = map[string]string{
	"skipped":  "The event is skipped, and that is on record.",
	"replayed": "What was parked has been replayed.",
}

// fail writes a page that says what is wrong.
func (s *Server) fail(w http.ResponseWriter, status int, text string) {
	s.render(w, nil, status, "problem", http.StatusText(status), text)
}

func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, err := files.ReadFile("assets/" + name)
	if err != nil {
		s.fail(w, http.StatusNotFound, "There is no such file.")
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "private, max-age=60")
	_, _ = w.Write(content)
}
