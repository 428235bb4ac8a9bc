package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// Both tables are written by the same statements, in the form that is cheapest for one row and for many.
const (
	intoBare = `INSERT INTO bare.events `
	intoGate = `INSERT INTO eventstream.events `

	insertColumns = `(version, event_id, occurred_at, partition_id, stream_id, type, payload) `
	insertOne     = insertColumns + `VALUES ($1, $2, $3, $4, $5, $6, $7)`
	insertMany    = insertColumns + `
SELECT u.version, u.event_id, u.occurred_at, u.partition_id, u.stream_id, u.type, u.payload
FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::integer[], $5::text[], $6::text[], $7::jsonb[])
    AS u (version, event_id, occurred_at, partition_id, stream_id, type, payload)`
)

// writer writes the events of one call.
type writer func(ctx context.Context, conn *pgx.Conn, targets []target) error

// insertBare writes to the table that has no rules.
func insertBare(ctx context.Context, conn *pgx.Conn, targets []target) error {
	return insert(ctx, conn, intoBare+insertOne, intoBare+insertMany, targets)
}

// insertGate writes past append_batch: the gate alone stands in the way.
func insertGate(ctx context.Context, conn *pgx.Conn, targets []target) error {
	return insert(ctx, conn, intoGate+insertOne, intoGate+insertMany, targets)
}

func insert(ctx context.Context, conn *pgx.Conn, one, many string, targets []target) error {
	c, err := layOut(targets)
	if err != nil {
		return err
	}
	if len(c.versions) == 1 {
		_, err = conn.Exec(ctx, one, c.versions[0], c.eventIDs[0], c.occurredAt[0], c.partitions[0], c.streamIDs[0],
			c.types[0], c.payloads[0])
		return err
	}
	_, err = conn.Exec(ctx, many, c.versions, c.eventIDs, c.occurredAt, c.partitions, c.streamIDs, c.types, c.payloads)
	return err
}

// appendBatch calls the function as the repository does: the same statement and the same arguments, a request for each stream, at
// its exact version.
func appendBatch(ctx context.Context, conn *pgx.Conn, targets []target) error {
	params := db.EventAppendBatchParams{Atomic: true}
	for _, t := range targets {
		params.StreamIds = append(params.StreamIds, t.id)
		params.Expected = append(params.Expected, t.version)
		params.EventCounts = append(params.EventCounts, int32(t.events))
	}
	c, err := layOut(targets)
	if err != nil {
		return err
	}
	params.EventIds, params.Types, params.Payloads, params.OccurredAt = c.eventIDs, c.types, c.payloads, c.occurredAt
	rows, err := db.New().EventAppendBatch(ctx, conn, params)
	if err != nil {
		return err
	}
	return checkAppended(targets, rows)
}

// checkAppended makes sure that what was measured is an append.
func checkAppended(targets []target, rows []db.EventAppendBatchRow) error {
	if len(rows) != len(targets) {
		return fmt.Errorf("append_batch: %d requests, %d rows", len(targets), len(rows))
	}
	for i, row := range rows {
		if row.Outcome != "appended" || row.LastVersion != targets[i].version {
			return fmt.Errorf("append_batch: stream %s: %q, version %d; want version %d appended",
				targets[i].id, row.Outcome, row.LastVersion, targets[i].version)
		}
	}
	return nil
}
