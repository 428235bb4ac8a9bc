// Package demo makes the events of a small shop: orders, payments, shipments, customers and stock of several tenants, each caused by another.
package demo

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Mark is the field of metadata that says of an event that it is made up.
const Mark = "demo"

// history is how far back the events of a new demo go.
const history = 14 * 24 * time.Hour

// planned is an event before it has a version.
type planned struct {
	at    time.Time
	event eventstream.Event
}

// Shop makes events. The same seed makes the same ones.
type Shop struct {
	seed    uint64
	random  *rand.Rand
	drawn   int
	orders  int
	known   map[string]bool
	started string
}

// NewShop returns a shop whose events are all drawn from a seed. What was started is part of all names, so that two shops share no stream.
func NewShop(seed uint64, started string) *Shop {
	return &Shop{
		seed: seed, random: rand.New(rand.NewPCG(seed, uint64(len(started)))), known: map[string]bool{}, started: started,
	}
}

// History makes so many events of the two weeks before a time, in order, each with its version.
func (s *Shop) History(n int, until time.Time) []eventstream.Event {
	for orders := n/10 + 2; ; orders += orders/4 + 1 {
		if events := NewShop(s.seed, s.started).orderMany(orders, until); len(events) >= n {
			return events[:n]
		}
	}
}

// orderMany makes all events of so many orders that have happened by a time; the newest orders are on their way.
func (s *Shop) orderMany(orders int, until time.Time) (events []eventstream.Event) {
	moments := make([]time.Duration, orders)
	for i := range moments {
		moments[i] = s.moment()
	}
	slices.Sort(moments)
	var all []planned
	for _, at := range moments {
		all = append(all, s.Order(until.Add(at-history))...)
	}
	slices.SortStableFunc(all, func(a, b planned) int { return a.at.Compare(b.at) })
	versions := map[eventstream.StreamID]int64{}
	for _, p := range all {
		if p.at.After(until) {
			break
		}
		versions[p.event.StreamID]++
		p.event.Version = versions[p.event.StreamID]
		events = append(events, p.event)
	}
	return events
}

// moment is when in these two weeks somebody orders: in the evening rather than at night.
func (s *Shop) moment() time.Duration {
	for {
		at := time.Duration(s.random.Int64N(int64(history)))
		hour := int(at/time.Hour) % 24
		if busy := 1 + 9*min(hour, 24-hour)/12; s.random.IntN(10) < busy {
			return at
		}
	}
}

// id draws the next id.
func (s *Shop) id() uuid.UUID {
	s.drawn++
	sum := sha256.Sum256(fmt.Appendf(nil, "gapless demo %d %s %d", s.seed, s.started, s.drawn))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id
}

// story is one order on its way: what happens next, to which stream, and because of what.
type story struct {
	shop                 *Shop
	tenant               eventstream.TenantID
	correlation, because uuid.UUID
	at                   time.Time
	events               []planned
}

// happens adds an event, caused by the one before it unless it is told.
func (s *story) happens(after time.Duration, stream, kind string, payload map[string]any) {
	s.at = s.at.Add(after)
	metadata := map[string]any{Mark: true, "correlation_id": s.correlation}
	if s.because != uuid.Nil {
		metadata["causation_id"] = s.because
	}
	e := eventstream.Event{
		ID: s.shop.id(), StreamID: eventstream.StreamID(stream), Type: eventstream.EventType(kind), TenantID: s.tenant,
		Payload: text(payload), Metadata: text(metadata), OccurredAt: s.at.UTC().Truncate(time.Microsecond),
	}
	s.events = append(s.events, planned{e.OccurredAt, e})
	s.because = e.ID
}

// text is a value as JSON; those here always have one.
func text(value map[string]any) json.RawMessage {
	out, err := json.Marshal(value)
	if err != nil {
		return json.RawMessage("{}")
	}
	return out
}
