package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// readModel is a table, and what events come to in it.
type readModel struct {
	name, table string
	apply       []codec.HandlersOption[subscription.Tables]
}

func (m readModel) setup(ctx context.Context, tx pgx.Tx, schema string) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(m.table, pgx.Identifier{schema}.Sanitize()))
	return err
}

// readModels are how many orders each customer has placed and for how much, and what each account has.
func readModels() []readModel {
	type change = codec.HandlersOption[subscription.Tables]
	return []readModel{
		{
			"customers", `CREATE TABLE %s.customers (customer text PRIMARY KEY, orders bigint NOT NULL, cents bigint NOT NULL)`,
			[]change{codec.On(countOrder)},
		},
		{
			"accounts", `CREATE TABLE %s.accounts (account text PRIMARY KEY, cents bigint NOT NULL)`,
			[]change{codec.On(addCredit), codec.On(takeCharge)},
		},
	}
}

// countOrder counts an order for its customer.
func countOrder(ctx context.Context, tables subscription.Tables, _ eventstream.LogEvent, e OrderPlaced) error {
	_, err := tables.Exec(ctx, `
		INSERT INTO `+tables.Name("customers")+` AS c VALUES ($1, 1, $2)
		ON CONFLICT (customer) DO UPDATE SET orders = c.orders + 1, cents = c.cents + excluded.cents`, e.Customer, e.Cents)
	return err
}

func addCredit(ctx context.Context, tables subscription.Tables, event eventstream.LogEvent, e AccountCredited) error {
	return addToAccount(ctx, tables, event.StreamID, e.Cents)
}

func takeCharge(ctx context.Context, tables subscription.Tables, event eventstream.LogEvent, e AccountCharged) error {
	return addToAccount(ctx, tables, event.StreamID, -e.Cents)
}

func addToAccount(ctx context.Context, tables subscription.Tables, account eventstream.StreamID, cents int64) error {
	_, err := tables.Exec(ctx, `
		INSERT INTO `+tables.Name("accounts")+` AS a VALUES ($1, $2)
		ON CONFLICT (account) DO UPDATE SET cents = a.cents + excluded.cents`, account, cents)
	return err
}

// mailer sends mails. One that is sent twice has the same id.
type mailer interface {
	Send(ctx context.Context, id, subject string) error
}

// mails are what is written to customers.
func mails() []codec.HandlersOption[mailer] {
	return []codec.HandlersOption[mailer]{
		codec.On(func(ctx context.Context, to mailer, event eventstream.LogEvent, _ OrderPaid) error {
			return to.Send(ctx, event.ID.String(), fmt.Sprintf("Your %s is paid", event.StreamID))
		}),
		codec.On(func(ctx context.Context, to mailer, event eventstream.LogEvent, _ OrderShipped) error {
			return to.Send(ctx, event.ID.String(), fmt.Sprintf("Your %s is on its way", event.StreamID))
		}),
	}
}
