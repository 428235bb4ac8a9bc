package inspect

import (
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// maxFindings bounds how many findings a page shows.
const maxFindings = 200

// finding is a row that the audit found.
type finding struct {
	Check    string `db:"check_name"`
	Severity string `db:"severity"`
	StreamID string `db:"stream_id"`
	Version  int64  `db:"version"`
	Detail   string `db:"detail"`
}

// auditView is what the audit said last.
type auditView struct {
	// Light is grey before the first audit, then green, amber for warnings, red for errors.
	Light            string
	Errors, Warnings int64
	Findings         []finding
	Running          bool
	Since, At        time.Time
	Seconds          float64
	Problem          string
}

// auditor runs one audit at a time in the background: it reads the tables whole.
type auditor struct {
	mu   sync.Mutex
	last auditView
	done chan struct{}
}

func (a *auditor) view() auditView {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.last
	if v.Light == "" {
		v.Light = "grey"
	}
	return v
}

// start says whether the caller shall run the audit; else another one runs.
func (a *auditor) start(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last.Running {
		return false
	}
	a.last.Running, a.last.Since, a.done = true, now, make(chan struct{})
	return true
}

func (a *auditor) finish(v auditView) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = v
	close(a.done)
}

// wait gives what is closed when the audit that runs ends; nil if none does.
func (a *auditor) wait() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.last.Running {
		return nil
	}
	return a.done
}

func (s *Server) runAudit(w http.ResponseWriter, r *http.Request) {
	if s.audit.start(time.Now()) {
		s.running.Go(s.auditStore)
	}
	http.Redirect(w, r, "/health", http.StatusSeeOther)
}

// auditQuery gives what concerns a tenant's streams, and what concerns none.
const auditQuery = `
SELECT a.check_name, a.severity, coalesce(a.stream_id, '') AS stream_id, coalesce(a.version, 0) AS version, left(a.detail::text, 2000) AS detail
FROM eventstream.audit() AS a
WHERE $1 = '' OR a.stream_id IS NULL
    OR EXISTS (SELECT FROM eventstream.events AS e WHERE e.stream_id = a.stream_id AND e.tenant_id = $1)
    OR EXISTS (SELECT FROM eventstream.pending_events AS p WHERE p.stream_id = a.stream_id AND p.tenant_id = $1)
ORDER BY a.severity, a.check_name, a.stream_id, a.version`

func (s *Server) auditStore() {
	began := time.Now()
	v := auditView{Light: "green"}
	err := s.readAs(s.ctx, beginAudit, func(tx pgx.Tx) error {
		rows, err := tx.Query(s.ctx, auditQuery, string(s.Tenant))
		if err != nil {
			return err
		}
		var f finding
		_, err = pgx.ForEachRow(rows, []any{&f.Check, &f.Severity, &f.StreamID, &f.Version, &f.Detail}, func() error {
			v.add(f)
			return nil
		})
		return err
	})
	if err != nil {
		v = auditView{Light: "grey", Problem: s.problem(err)}
	}
	v.At, v.Seconds = time.Now(), time.Since(began).Seconds()
	s.audit.finish(v)
}

func (v *auditView) add(f finding) {
	switch f.Severity {
	case "error":
		v.Errors++
		v.Light = "red"
	default:
		v.Warnings++
		if v.Light != "red" {
			v.Light = "amber"
		}
	}
	if len(v.Findings) < maxFindings {
		v.Findings = append(v.Findings, f)
	}
}

// followAudit tells a page when the audit that runs has ended.
func (s *Server) followAudit(w http.ResponseWriter, r *http.Request) {
	e, ok := s.newEvents(w)
	if e != nil {
		defer s.endEvents()
	}
	if !ok {
		return
	}
	if done := s.audit.wait(); done != nil {
		select {
		case <-done:
		case <-r.Context().Done():
			return
		}
	}
	_ = e.send("done", "", "done") // a page that is gone needs no news
}
