package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	insertColumns = `INSERT INTO bare.events (version, event_id, occurred_at, partition_id, stream_id, type, payload) `
	insertOne     = insertColumns + `VALUES ($1, $2, $3, $4, $5, $6, $7)`
	insertMany    = insertColumns + `
SELECT u.version, u.event_id, u.occurred_at, u.partition_id, u.stream_id, u.type, u.payload
FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::integer[], $5::text[], $6::text[], $7::jsonb[])
    AS u (version, event_id, occurred_at, partition_id, stream_id, type, payload)`
)

// insertNext adds an event to a stream, whose version its one writer knows.
func insertNext(ctx context.Context, pool *pgxpool.Pool, s *stream) (int, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return 0, err
	}
	tag, err := pool.Exec(ctx, insertOne, s.version+1, [16]byte(id), time.Now(), s.partition, string(s.id), eventType, payload)
	if err != nil {
		return 0, err
	}
	s.version++
	return int(tag.RowsAffected()), nil
}

// columns are events as arrays, one for each column: the form that is cheapest for many rows.
type columns struct {
	versions   []int64
	ids        [][16]byte
	occurredAt []time.Time
	partitions []int32
	streamIDs  []string
	types      []string
	payloads   []string
}

// add lays out the next event of a stream, after so many that the same call adds.
func (c *columns) add(s *stream, after int) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	c.versions = append(c.versions, s.version+1+int64(after))
	c.ids = append(c.ids, id)
	c.occurredAt = append(c.occurredAt, time.Now())
	c.partitions = append(c.partitions, s.partition)
	c.streamIDs = append(c.streamIDs, string(s.id))
	c.types = append(c.types, eventType)
	c.payloads = append(c.payloads, payload)
	return nil
}

// insert writes all rows by one statement.
func (c *columns) insert(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	tag, err := pool.Exec(ctx, insertMany, c.versions, c.ids, c.occurredAt, c.partitions, c.streamIDs, c.types, c.payloads)
	if err != nil {
		return 0, err
	}
	if int(tag.RowsAffected()) != len(c.versions) {
		return 0, fmt.Errorf("%d of %d rows inserted", tag.RowsAffected(), len(c.versions))
	}
	return len(c.versions), nil
}
