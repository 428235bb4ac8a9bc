package foreign

import (
	"context"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// placeOf is where the store has an event.
type placeOf struct {
	stream  eventstream.StreamID
	version int64
}

type versionOf placeOf

// storedEvents are those of the store that have to do with a batch.
type storedEvents struct {
	byID      map[uuid.UUID]placeOf
	byVersion map[versionOf]uuid.UUID
}

// lookUpStreams begins to follow the streams that come for the first time, where the store has them.
func (c *check) lookUpStreams(ctx context.Context) error {
	var names []string
	for i := range c.batch {
		at := digestOf(string(c.batch[i].StreamID))
		if _, known := c.streams[at]; known {
			continue
		}
		if len(c.streams) >= maxRemembered {
			c.report.Complete = false
			continue
		}
		c.streams[at] = standing{tenant: -1}
		c.report.Streams++
		names = append(names, string(c.batch[i].StreamID))
	}
	if names == nil {
		return nil
	}
	rows, err := c.pool.Query(ctx, `
		SELECT w.id, l.version, l.tenant_id
		FROM unnest($1::text[]) AS w (id)
		CROSS JOIN LATERAL (
			SELECT e.version, e.tenant_id
			FROM eventstream.events AS e
			WHERE e.stream_id = w.id
			ORDER BY e.version DESC
			LIMIT 1
		) AS l`, names)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var version int64
		var tenant eventstream.TenantID
		if err := rows.Scan(&name, &version, (*string)(&tenant)); err != nil {
			return err
		}
		c.streams[digestOf(name)] = standing{version, c.tenantOf(tenant)}
	}
	return rows.Err()
}

// lookUpEvents finds what the store has under the ids and at the versions of the batch.
func (c *check) lookUpEvents(ctx context.Context) (storedEvents, error) {
	ids, streams, versions := make([]string, len(c.batch)), make([]string, len(c.batch)), make([]int64, len(c.batch))
	for i := range c.batch {
		ids[i], streams[i], versions[i] = c.batch[i].ID.String(), string(c.batch[i].StreamID), c.batch[i].Version
	}
	found := storedEvents{map[uuid.UUID]placeOf{}, map[versionOf]uuid.UUID{}}
	rows, err := c.pool.Query(ctx, `
		SELECT e.event_id, e.stream_id, e.version
		FROM unnest($1::text[]) AS w (id)
		CROSS JOIN LATERAL (SELECT * FROM eventstream.events AS e WHERE e.event_id = w.id::uuid LIMIT 1) AS e
		UNION ALL
		SELECT e.event_id, e.stream_id, e.version
		FROM unnest($2::text[], $3::bigint[]) AS w (stream, version)
		CROSS JOIN LATERAL (
			SELECT * FROM eventstream.events AS e WHERE e.stream_id = w.stream AND e.version = w.version LIMIT 1
		) AS e`, ids, streams, versions)
	if err != nil {
		return found, err
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var place placeOf
		if err := rows.Scan(&id, (*string)(&place.stream), &place.version); err != nil {
			return found, err
		}
		found.byID[id], found.byVersion[versionOf(place)] = place, id
	}
	return found, rows.Err()
}
