package foreign

import (
	"slices"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
)

// maxTypes is how many types are counted by name.
const maxTypes = 1000

// Report is what a dry run found.
type Report struct {
	Events   int64            `json:"events"`
	Streams  int64            `json:"streams"`
	There    int64            `json:"there"`
	First    time.Time        `json:"first,omitzero"`
	Last     time.Time        `json:"last,omitzero"`
	Types    map[string]int64 `json:"types"`
	LeftOut  map[string]int64 `json:"left_out"`
	Refused  []Refusal        `json:"refused"`
	Complete bool             `json:"complete"`
}

// Refusal is how many events cannot be imported for a reason, and an example.
type Refusal struct {
	Reason  Reason `json:"reason"`
	Events  int64  `json:"events"`
	Example string `json:"example"`
}

// RefusedEvents is how many cannot be imported.
func (r *Report) RefusedEvents() (n int64) {
	for _, refusal := range r.Refused {
		n += refusal.Events
	}
	return n
}

func (r *Report) refuse(refused *Refused) {
	at := slices.IndexFunc(r.Refused, func(known Refusal) bool { return known.Reason == refused.Reason })
	if at < 0 {
		r.Refused = append(r.Refused, Refusal{Reason: refused.Reason, Example: refused.Error()})
		at = len(r.Refused) - 1
	}
	r.Refused[at].Events++
}

// otherTypes is the name under which types are counted that come after the first thousand.
const otherTypes = "(other types)"

func (r *Report) count(e *eventstream.Event) {
	r.Events++
	name := string(e.Type)
	if _, known := r.Types[name]; !known && len(r.Types) >= maxTypes {
		name = otherTypes
	}
	r.Types[name]++
	if r.First.IsZero() || e.OccurredAt.Before(r.First) {
		r.First = e.OccurredAt
	}
	if e.OccurredAt.After(r.Last) {
		r.Last = e.OccurredAt
	}
}
