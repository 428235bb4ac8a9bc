package inspect

import (
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

// lagPoint is how far a shard is at a moment, as the page draws it.
type lagPoint struct {
	Key     string  `json:"key"`
	Events  int64   `json:"events"`
	Lag     string  `json:"lag"`
	Age     string  `json:"age"`
	Seconds float64 `json:"seconds"`
	State   string  `json:"state"`
}

// followSubscriptions sends how far each shard is, again and again.
func (s *Server) followSubscriptions(w http.ResponseWriter, r *http.Request) {
	e, ok := s.newEvents(w)
	if e != nil {
		defer s.endEvents()
	}
	if !ok {
		return
	}
	tick := time.NewTicker(2 * s.Poll)
	defer tick.Stop()
	for {
		p := fill(r.Context(), s, func(tx pgx.Tx) ([]subscriptionRow, error) { return s.readSubscriptions(r.Context(), tx) })
		var err error
		if p.Problem != "" {
			err = e.send("problem", "", p.Problem)
		} else {
			err = e.sendJSON("lag", lagPoints(p.Value))
		}
		if err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func lagPoints(rows []subscriptionRow) []lagPoint {
	points := []lagPoint{}
	for _, row := range rows {
		for _, shard := range row.Shards {
			points = append(points, lagPoint{
				Key: shard.Key, Events: shard.Events, Lag: number(shard.Events), Age: span(shard.Seconds), Seconds: shard.Seconds, State: string(shard.State),
			})
		}
	}
	return points
}
