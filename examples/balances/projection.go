package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

const (
	// projection is the name of the subscription, and of the schema of its table.
	projection = "balances"
	// shards is as many processes as can share the work. Fixed: the database remembers it.
	shards = 4
	// batch is small, so that a process is often in the middle of one.
	batch = 100
)

// newProjector describes the projection. beforeCommit, if any, is called when a batch is written and not committed.
//
// Adding is not idempotent: it is right only if every event is applied once. The table's row and the checkpoint move in one
// transaction, so they are right together, whatever happens to the process.
func newProjector(repo *eventstream.Repository, beforeCommit func()) (*subscription.Projector, error) {
	return subscription.NewProjector(repo, subscription.Projection{
		Name:  projection,
		Setup: setup,
		Apply: func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
			if err := apply(ctx, tx, schema, events); err != nil {
				return err
			}
			if beforeCommit != nil {
				beforeCommit()
			}
			return nil
		},
		Config: &subscription.Config{
			Filter:    eventstream.LogFilter{Category: category},
			Shards:    shards,
			BatchSize: batch,
		},
	})
}

// setup makes the table, and a sequence that counts how many events were handed to apply, those of killed processes as well: no rollback
// takes a sequence back.
func setup(ctx context.Context, tx pgx.Tx, schema string) error {
	s := pgx.Identifier{schema}.Sanitize()
	_, err := tx.Exec(ctx, `
		CREATE TABLE `+s+`.accounts (account text PRIMARY KEY, balance bigint NOT NULL, events bigint NOT NULL) WITH (fillfactor = 80);
		CREATE SEQUENCE `+s+`.handed_out`)
	return err
}

// apply adds what the events of each account amount to, in one statement for all of them.
func apply(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
	accounts := make([]string, len(events))
	amounts := make([]int64, len(events))
	for i, event := range events {
		c, err := eventstream.DecodePayload[change](event.Event)
		if err != nil {
			return err
		}
		accounts[i], amounts[i] = string(event.StreamID), c.Amount
	}
	s := pgx.Identifier{schema}.Sanitize()
	if _, err := tx.Exec(ctx, `SELECT nextval($1::text::regclass) FROM generate_series(1, $2::integer)`, s+".handed_out", len(events)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO `+s+`.accounts AS a (account, balance, events)
		SELECT u.account, sum(u.amount), count(*)
		FROM unnest($1::text[], $2::bigint[]) AS u (account, amount)
		GROUP BY u.account
		ON CONFLICT (account) DO UPDATE SET balance = a.balance + excluded.balance, events = a.events + excluded.events`,
		accounts, amounts)
	return err
}
