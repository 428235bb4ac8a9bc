package demo

import (
	"fmt"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
)

// tenants are the shops, the larger ones more often.
var tenants = [...]eventstream.TenantID{"north", "north", "north", "south", "south", "harbour"}

// products are what is sold, with its price in cents.
var products = [...]struct {
	sku   string
	cents int
}{{"lamp", 4900}, {"chair", 12900}, {"table", 34900}, {"rug", 8900}, {"mirror", 6500}, {"shelf", 15900}, {"clock", 2900}}

var (
	names    = [...]string{"ada", "grace", "edsger", "barbara", "donald", "margaret", "alan", "radia", "tony", "frances", "dennis", "karen"}
	carriers = [...]string{"swift post", "blue van", "harbour freight"}
)

// Of a hundred orders, so many go another way.
const (
	declined = 8
	delayed  = 12
	returned = 4
)

func (s *Shop) often(inHundred int) bool { return s.random.IntN(100) < inHundred }

// between draws a time that passes.
func (s *Shop) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.random.Int64N(int64(most-least)))
}

// Order makes all events of an order that somebody places, in order.
func (s *Shop) Order(at time.Time) []planned {
	s.orders++
	o := &story{shop: s, tenant: tenants[s.random.IntN(len(tenants))], at: at, correlation: s.id()}
	suffix, number := "", fmt.Sprintf("%s%05d", o.tenant[:1], s.orders)
	if s.started != "" {
		suffix, number = "-"+s.started, fmt.Sprintf("%s%s-%05d", o.tenant[:1], s.started, s.orders)
	}
	customer := fmt.Sprintf("customer-%s-%s%d%s", o.tenant, names[s.random.IntN(len(names))], s.random.IntN(40), suffix)
	if !s.known[customer] {
		s.known[customer] = true
		o.happens(0, customer, "customer.registered", map[string]any{"newsletter": s.often(50)})
	}
	order, payment := "order-"+number, "payment-"+number
	items, cents := s.items()
	o.happens(s.between(time.Second, 5*time.Minute), order, "order.placed", map[string]any{"customer": customer + s.started, "items": items, "cents": cents})
	for _, item := range items {
		stock := fmt.Sprintf("stock-%s-%s%s", o.tenant, item["sku"], suffix)
		placed := o.because
		o.happens(s.between(time.Millisecond, time.Second), stock, "stock.reserved", map[string]any{"order": order, "quantity": item["quantity"]})
		o.because = placed
	}
	o.happens(s.between(time.Second, time.Minute), payment, "payment.requested", map[string]any{"order": order, "cents": cents})
	if s.often(declined) {
		o.happens(s.between(time.Second, time.Minute), payment, "payment.declined", map[string]any{"reason": "insufficient funds"})
		o.happens(s.between(time.Millisecond, time.Second), order, "order.cancelled", map[string]any{"reason": "not paid"})
		return o.events
	}
	o.happens(s.between(time.Second, time.Hour), payment, "payment.authorised", map[string]any{"method": [...]string{"card", "transfer", "invoice"}[s.random.IntN(3)]})
	o.happens(s.between(time.Millisecond, time.Second), order, "order.paid", map[string]any{"cents": cents})
	s.ship(o, number, order, payment, cents)
	return o.events
}

// ship sends an order, and takes some back.
func (s *Shop) ship(o *story, number, order, payment string, cents int) {
	shipment := "shipment-" + number
	o.happens(s.between(time.Hour, 20*time.Hour), shipment, "shipment.packed", map[string]any{"order": order, "kilograms": 1 + s.random.IntN(40)})
	o.happens(s.between(time.Hour, 8*time.Hour), shipment, "shipment.dispatched", map[string]any{"carrier": carriers[s.random.IntN(len(carriers))]})
	o.happens(s.between(time.Second, time.Minute), order, "order.shipped", map[string]any{"shipment": shipment})
	if s.often(delayed) {
		o.happens(s.between(time.Hour, 24*time.Hour), shipment, "shipment.delayed", map[string]any{"hours": 4 + s.random.IntN(40)})
	}
	o.happens(s.between(10*time.Hour, 60*time.Hour), shipment, "shipment.delivered", map[string]any{"signed": s.often(70)})
	o.happens(s.between(time.Millisecond, time.Second), order, "order.completed", map[string]any{})
	if s.often(returned) {
		o.happens(s.between(24*time.Hour, 96*time.Hour), order, "order.returned", map[string]any{"reason": "does not match the sofa"})
		o.happens(s.between(time.Minute, 24*time.Hour), payment, "payment.refunded", map[string]any{"cents": cents})
	}
}

// items draws what is ordered, and what it costs.
func (s *Shop) items() (items []map[string]any, cents int) {
	first := s.random.IntN(len(products))
	for i := range 1 + s.random.IntN(3) {
		product, quantity := products[(first+i)%len(products)], 1+s.random.IntN(3)
		items = append(items, map[string]any{"sku": product.sku, "quantity": quantity})
		cents += quantity * product.cents
	}
	return items, cents
}

// open is how many orders are on their way at once, while events go on.
const open = 6

// Next goes on: the next event of one of the orders on their way, as of now. It has no version: it is the next of its stream.
func (s *Shop) Next(onTheWay *[][]eventstream.Event, now time.Time) eventstream.Event {
	for len(*onTheWay) < open {
		var events []eventstream.Event
		for _, p := range s.Order(now) {
			events = append(events, p.event)
		}
		*onTheWay = append(*onTheWay, events)
	}
	at := s.random.IntN(open)
	events := (*onTheWay)[at]
	e := events[0]
	e.OccurredAt = now.UTC().Truncate(time.Microsecond)
	if (*onTheWay)[at] = events[1:]; len(events) == 1 {
		*onTheWay = append((*onTheWay)[:at], (*onTheWay)[at+1:]...)
	}
	return e
}
