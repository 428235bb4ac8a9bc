package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
)

// readModel is a table, and what the events of a category come to in it.
type readModel struct {
	name, category, table string
	apply                 func(ctx context.Context, tx pgx.Tx, schema string, event eventstream.LogEvent, value any) error
}

func (m readModel) setup(ctx context.Context, tx pgx.Tx, schema string) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(m.table, pgx.Identifier{schema}.Sanitize()))
	return err
}

// readModels are how many orders each customer has placed and for how much, and what each account has.
func readModels() []readModel {
	return []readModel{
		{"customers", "order", `CREATE TABLE %s.customers (customer text PRIMARY KEY, orders bigint NOT NULL, cents bigint NOT NULL)`, countOrder},
		{"accounts", "account", `CREATE TABLE %s.accounts (account text PRIMARY KEY, cents bigint NOT NULL)`, addToAccount},
	}
}

// countOrder counts an order for its customer.
func countOrder(ctx context.Context, tx pgx.Tx, schema string, _ eventstream.LogEvent, value any) error {
	e, ok := value.(OrderPlaced)
	if !ok {
		return nil
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO %s.customers AS c VALUES ($1, 1, $2)
		ON CONFLICT (customer) DO UPDATE SET orders = c.orders + 1, cents = c.cents + excluded.cents`, pgx.Identifier{schema}.Sanitize()), e.Customer, e.Cents)
	return err
}

// addToAccount adds what an event comes to.
func addToAccount(ctx context.Context, tx pgx.Tx, schema string, event eventstream.LogEvent, value any) error {
	var cents int64
	switch e := value.(type) {
	case AccountCredited:
		cents = e.Cents
	case AccountCharged:
		cents = -e.Cents
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO %s.accounts AS a VALUES ($1, $2)
		ON CONFLICT (account) DO UPDATE SET cents = a.cents + excluded.cents`, pgx.Identifier{schema}.Sanitize()), event.StreamID, cents)
	return err
}

// mailer sends mails. One that is sent twice has the same id.
type mailer interface {
	Send(ctx context.Context, id, subject string) error
}

// mail writes the mail that an event calls for, if any.
func mail(ctx context.Context, to mailer, event eventstream.LogEvent, value any) error {
	switch value.(type) {
	case OrderPaid:
		return to.Send(ctx, event.ID.String(), fmt.Sprintf("Your %s is paid", event.StreamID))
	case OrderShipped:
		return to.Send(ctx, event.ID.String(), fmt.Sprintf("Your %s is on its way", event.StreamID))
	}
	return nil
}
