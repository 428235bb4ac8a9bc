package inspect

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// meta is the metadata of an event that belongs to a chain.
func meta(correlation string, causation any) eventstream.EventOption {
	m := map[string]any{"correlation_id": correlation, "user": "ada"}
	if causation != nil {
		m["causation_id"] = fmt.Sprint(causation)
	}
	return eventstream.WithMetadata(m)
}

// causeID is the id of the event of the furnished store that has a cause and effects.
var causeID = uuid.MustParse("01900000-0000-7000-8000-0000000000a1")

// furnish fills a store with something of everything: two tenants, a chain, a hole, a subscription that has parked an event, a rebuild that was
// interrupted.
func furnish(b *bundle) {
	b.t.Helper()
	cities := []string{"Zürich", "Genève", "Lugano"}
	for i := range 40 {
		tenant := "default"
		if i%4 == 3 {
			tenant = "acme"
		}
		order := fmt.Sprintf("order-%d", i+1)
		b.append(order, "order.placed", map[string]any{
			"total": 1200 + i*35, "customer": map[string]any{"name": "Ada", "city": cities[i%3]},
			"lines": []any{map[string]any{"sku": "a-1", "n": 2}, map[string]any{"sku": "b-2", "n": 1}},
		}, meta(fmt.Sprintf("checkout-%d", i+1), nil), eventstream.WithTenant(tenant))
		if i%2 == 0 {
			b.append(order, "order.paid", map[string]any{"paid": true, "by": "card"}, meta(fmt.Sprintf("checkout-%d", i+1), nil))
		}
		if i%5 == 0 {
			b.append(fmt.Sprintf("customer-%d", i+1), "customer.registered", map[string]any{"name": "Ada", "news": i%2 == 0})
		}
	}
	b.chain()
	_, err := b.repo.Ingest(b.ctx, "device-9", b.reading(1), b.reading(2), b.reading(3), b.reading(6), b.reading(7), b.reading(10))
	require.NoError(b.t, err)
	mailer := b.subscribe("mailer", 4)
	b.exec(`SELECT eventstream.park_events($1, ARRAY[12, 20], 5, 'the mail server said: 550 no such user')`, mailer)
	b.subscribe("search", 1)
	b.exec(`SELECT eventstream.create_projection('order_totals', 1, s.filter, s.start) FROM eventstream.subscriptions AS s WHERE s.name = 'search'`)
	b.exec(`CREATE SCHEMA order_totals`)
	var comment string
	require.NoError(b.t, b.pool.QueryRow(b.ctx, `
		SELECT format('COMMENT ON SCHEMA order_totals IS %L', eventstream.projection_mark(s.name, s.tables_id))
		FROM eventstream.subscriptions AS s WHERE s.name = 'order_totals' `).Scan(&comment))
	b.exec(comment)
}

// chain appends events that are each other's causes and effects.
func (b *bundle) chain() {
	one, two := uuid.MustParse("01900000-0000-7000-8000-0000000000a2"), uuid.MustParse("01900000-0000-7000-8000-0000000000a3")
	b.append("order-1", "order.paid-out", map[string]any{"paid": true, "customer": map[string]any{"city": nil}, "method": "card"},
		meta("payment-1", "cmd-77"), eventstream.WithEventID(causeID))
	b.append("invoice-1", "invoice.issued", map[string]any{"number": 1}, meta("payment-1", causeID), eventstream.WithEventID(one))
	b.append("shipment-1", "shipment.requested", map[string]any{"carrier": "post"}, meta("payment-1", causeID), eventstream.WithEventID(two))
	b.append("mail-1", "mail.queued", map[string]any{"to": "ada@example.org"}, meta("payment-1", one))
	b.append("shipment-1", "shipment.packed", map[string]any{"parcels": 1}, meta("payment-1", two))
}

func (b *bundle) reading(version int64) eventstream.Event {
	b.t.Helper()
	event := eventstream.EventOf("reading.taken", map[string]any{"celsius": 20 + version})
	require.NoError(b.t, event.Err)
	event.Version = version
	return event
}

// subscribe creates a subscription, and returns its name.
func (b *bundle) subscribe(name string, shards int) string {
	b.t.Helper()
	handler := subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil })
	sub, err := subscription.New(b.repo, name, handler, &subscription.Config{Shards: shards})
	require.NoError(b.t, err)
	require.NoError(b.t, sub.Create(b.ctx))
	return name
}
