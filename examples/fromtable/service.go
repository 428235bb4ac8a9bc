package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
)

// oldTables are what the service has had for years: a table of events, with a number for each event of an order. What is new is the switch: a
// row that says where events go. Whoever writes an event reads it in the same transaction, and so keeps it from being turned meanwhile.
const oldTables = `
	CREATE TABLE IF NOT EXISTS public.order_events (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		order_no text NOT NULL,
		version int NOT NULL,
		kind text NOT NULL,
		body jsonb NOT NULL,
		at timestamptz NOT NULL DEFAULT clock_timestamp(),
		UNIQUE (order_no, version)
	);
	CREATE TABLE IF NOT EXISTS public.event_switch (one bool PRIMARY KEY DEFAULT true CHECK (one), to_gapless bool NOT NULL DEFAULT false);
	INSERT INTO public.event_switch DEFAULT VALUES ON CONFLICT DO NOTHING`

// service is what goes on while its events move.
type service struct {
	pool *pgxpool.Pool
	repo *eventstream.Repository
}

// uniqueViolation is the SQLSTATE of a number that somebody else took.
const uniqueViolation = "23505"

// record writes an event of an order, to where events go now. In a service, what else the request writes is in the same transaction.
func (s *service) record(ctx context.Context, order, kind string, body any) error {
	for {
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.recordIn(ctx, tx, order, kind, body) })
		if taken, ok := errors.AsType[*pgconn.PgError](err); ok && taken.Code == uniqueViolation {
			continue // as it has always done
		}
		return err
	}
}

func (s *service) recordIn(ctx context.Context, tx pgx.Tx, order, kind string, body any) error {
	var toGapless bool
	// Until this transaction ends, the table has its lock, and the switch stays as it is. Who waits for it reads what it was turned to.
	if err := tx.QueryRow(ctx, `SELECT to_gapless FROM public.event_switch`).Scan(&toGapless); err != nil {
		return err
	}
	if toGapless {
		_, err := s.repo.WithTx(tx).Append(ctx, streamOf(order), eventstream.Any, eventstream.EventOf(typeOf(kind), body))
		return err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO public.order_events (order_no, version, kind, body)
		SELECT $1, coalesce(max(version), 0) + 1, $2, $3 FROM public.order_events WHERE order_no = $1`, order, kind, text)
	return err
}

// streamOf is the stream of an order: its category comes first.
func streamOf(order string) eventstream.StreamID { return eventstream.StreamID("order-" + order) }

// typeOf gives kinds the form that types have from now on: order.placed for PLACED.
func typeOf(kind string) string { return "order." + strings.ToLower(kind) }
