package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

const (
	// projection is the name of the subscription, and of the schema of its table.
	projection = "bank"
	// shards is as many processes as can share the work. Fixed: the database remembers it.
	shards = 4
)

// newProjector describes the projection of balances. Adding is not idempotent: it is right only if every event is applied once.
func newProjector(repo *eventstream.Repository) (*subscription.Projector, error) {
	return subscription.NewProjector(repo, subscription.Projection{
		Name: projection,
		Setup: func(ctx context.Context, tx pgx.Tx, schema string) error {
			_, err := tx.Exec(ctx, `CREATE TABLE `+pgx.Identifier{schema}.Sanitize()+
				`.accounts (account text PRIMARY KEY, balance bigint NOT NULL, events bigint NOT NULL) WITH (fillfactor = 80)`)
			return err
		},
		Apply:  apply,
		Config: &subscription.Config{Filter: eventstream.LogFilter{Category: category}, Shards: shards, BatchSize: 100},
	})
}

// apply adds what the events of each account amount to, in one statement for all of them.
func apply(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
	ids, amounts := make([]string, len(events)), make([]int64, len(events))
	for i, event := range events {
		m, err := decode(event.Event)
		if err != nil {
			return err
		}
		ids[i], amounts[i] = string(event.StreamID), m.Amount
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO `+pgx.Identifier{schema}.Sanitize()+`.accounts AS a (account, balance, events)
		SELECT u.account, sum(u.amount), count(*)
		FROM unnest($1::text[], $2::bigint[]) AS u (account, amount)
		GROUP BY u.account
		ON CONFLICT (account) DO UPDATE SET balance = a.balance + excluded.balance, events = a.events + excluded.events`,
		ids, amounts)
	return err
}
