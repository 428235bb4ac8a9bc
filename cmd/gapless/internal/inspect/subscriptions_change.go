package inspect

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// skipParked decides that a subscription shall not handle an event that it has put aside.
func (s *Server) skipParked(w http.ResponseWriter, r *http.Request) {
	name, reason := r.PostFormValue("subscription"), strings.TrimSpace(r.PostFormValue("reason"))
	position, err := strconv.ParseInt(r.PostFormValue("position"), 10, 64)
	switch {
	case !s.AllowWrites:
		s.refuseWrites(w)
	case err != nil || reason == "":
		s.fail(w, http.StatusBadRequest, "To skip an event needs its position, and a reason, which stays on record.")
	case !s.isParked(w, r, name, position):
	default:
		if err := subscription.SkipEvent(r.Context(), s.repo, name, position, reason); err != nil {
			s.fail(w, http.StatusConflict, "It was not skipped: "+err.Error())
			return
		}
		http.Redirect(w, r, "/subscriptions?done=skipped", http.StatusSeeOther)
	}
}

// isParked looks whether the page may change it: the event is parked, and of the tenant that is shown. Else it answers.
func (s *Server) isParked(w http.ResponseWriter, r *http.Request, name string, position int64) bool {
	err := s.read(r.Context(), func(tx pgx.Tx) error {
		var found bool
		return tx.QueryRow(r.Context(), `
			SELECT true
			FROM eventstream.parked_events AS k
			JOIN eventstream.events AS e ON e.position = k.position
			WHERE k.subscription = $1 AND k.position = $2 AND ($3 = '' OR e.tenant_id = $3)`, name, position, string(s.Tenant)).Scan(&found)
	})
	return !s.missing(w, err, "No such event is parked here; it may have been handled meanwhile.")
}

func (s *Server) refuseWrites(w http.ResponseWriter) {
	s.fail(w, http.StatusForbidden, "This server changes nothing: start it with --allow-writes.")
}

// replayParked gives what a subscription has put aside to the program that the operator named.
func (s *Server) replayParked(w http.ResponseWriter, r *http.Request) {
	switch {
	case !s.AllowWrites:
		s.refuseWrites(w)
	case s.Replay == nil:
		s.fail(w, http.StatusForbidden, "There is no program that handles events: start the server with --replay-exec, or call ReplayParked in the service.")
	case s.Tenant != "":
		s.fail(w, http.StatusForbidden, "A replay takes all that is parked, of every tenant: this server shows one.")
	default:
		// It goes on if the page is left, and ends with the server.
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		if n, err := s.Replay(ctx, r.PostFormValue("subscription")); err != nil {
			s.fail(w, http.StatusConflict, "Events handled: "+strconv.Itoa(max(n, 0))+". Then it stopped: "+output.Clean(err.Error()))
			return
		}
		http.Redirect(w, r, "/subscriptions?done=replayed", http.StatusSeeOther)
	}
}
