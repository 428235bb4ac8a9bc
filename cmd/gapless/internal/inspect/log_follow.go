package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// followBatch is how many events are sent at a time.
	followBatch = 100
	// maxBehind is how many positions a page may be behind; what is further back is passed over, and the page says so.
	maxBehind = 20_000
)

// events is a connection over which a page is told what happens.
type events struct {
	w       http.ResponseWriter
	flusher *http.ResponseController
}

// newEvents opens a connection; it returns false where there are too many.
func (s *Server) newEvents(w http.ResponseWriter) (*events, bool) {
	select {
	case s.follow <- struct{}{}:
	default:
		w.Header().Set("Retry-After", "10")
		s.fail(w, http.StatusServiceUnavailable, "Too many pages follow this store already.")
		return nil, false
	}
	w.Header().Set("Content-Type", "text/event-stream")
	e := &events{w: w, flusher: http.NewResponseController(w)}
	return e, e.flusher.Flush() == nil
}

func (s *Server) endEvents() { <-s.follow }

// send tells a page something; an error says that it is gone.
func (e *events) send(kind, id, data string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "event: %s\n", kind)
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	for line := range strings.SplitSeq(data, "\n") {
		fmt.Fprintf(&b, "data: %s\n", strings.ReplaceAll(line, "\r", ""))
	}
	if _, err := fmt.Fprint(e.w, b.String()+"\n"); err != nil {
		return err
	}
	return e.flusher.Flush()
}

func (e *events) sendJSON(kind string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return e.send(kind, "", string(text))
}

// followLog sends the events that come, as rows of the page, in order of the log.
func (s *Server) followLog(w http.ResponseWriter, r *http.Request) {
	filter := s.filterOf(r.URL.Query())
	after, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil {
		after, err = strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	}
	if err != nil {
		s.fail(w, http.StatusBadRequest, "The address says not after which position to follow.")
		return
	}
	e, ok := s.newEvents(w)
	if e != nil {
		defer s.endEvents()
	}
	if !ok {
		return
	}
	tick := time.NewTicker(s.Poll)
	defer tick.Stop()
	for {
		if after, err = s.sendNewer(r.Context(), e, filter, after); err != nil {
			return // the page connects again
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// sendNewer sends what came after a position, and returns up to where the page is now.
func (s *Server) sendNewer(ctx context.Context, e *events, filter logFilter, after int64) (int64, error) {
	var rows []logRow
	var stable, passed int64
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		if err := tx.QueryRow(ctx, `SELECT coalesce(eventstream.stable_position(), 0)`).Scan(&stable); err != nil || stable <= after {
			return err
		}
		if passed = max(stable-after-maxBehind, 0); passed > 0 {
			after += passed
		}
		rows, err = list[logRow](ctx, tx, newerQuery, filter.args(after, stable, followBatch)...)
		return err
	})
	if err != nil {
		return after, e.send("problem", "", s.problem(err))
	}
	if passed > 0 {
		if err := e.send("passed", "", number(passed)); err != nil {
			return after, err
		}
	}
	if stable <= after {
		return after, e.send("stable", "", number(stable))
	}
	next := stable
	if len(rows) == followBatch {
		next = rows[followBatch-1].Position
	}
	return next, s.sendRows(e, rows, next)
}

func (s *Server) sendRows(e *events, rows []logRow, next int64) error {
	for _, row := range rows {
		var b bytes.Buffer
		if err := s.pages["log"].ExecuteTemplate(&b, "log-row", row); err != nil {
			return err
		}
		if err := e.send("row", strconv.FormatInt(row.Position, 10), strings.TrimSpace(b.String())); err != nil {
			return err
		}
	}
	return e.send("stable", strconv.FormatInt(next, 10), number(next))
}
