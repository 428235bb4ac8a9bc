-- +goose Up
-- Which types and schema versions the store holds that a program does not know.
-- Locks: none, everything here is new.
--
-- The schema version of an event says by which definition of its type it was written. It is in the metadata, so events
-- without one cost nothing. Inlined, so that an index over it is found; open to PUBLIC, since who inserts a row evaluates
-- the index.
CREATE FUNCTION eventstream.event_schema_version(p_metadata jsonb) RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN NOT p_metadata ? 'schema_version' THEN 1
    WHEN jsonb_typeof(p_metadata -> 'schema_version') = 'number' AND p_metadata ->> 'schema_version' ~ '^[1-9][0-9]{0,8}$'
        THEN (p_metadata ->> 'schema_version')::integer
    ELSE 0
END;
-- +goose StatementBegin

COMMENT ON FUNCTION eventstream.event_schema_version IS
    'Schema version of an event, from its metadata: schema_version, 1 if there is none, and 0 for anything that is not '
    'a whole number from 1 to 999999999.';

-- One look at the table, or, where the index is there, one at the index for each type and schema version, and at the
-- events of those that are unknown. The index is made when somebody asks for it; without it, going from one type to the
-- next would read the table each time.
CREATE FUNCTION eventstream.unknown_event_types(p_types text[], p_oldest integer[], p_newest integer[])
RETURNS TABLE (
    type text,
    schema_version integer,
    events bigint,
    event_id uuid,
    stream_id text,
    version bigint
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indexrelid = to_regclass('eventstream.events_type_schema_idx')
            AND i.indrelid = 'eventstream.events'::regclass AND i.indisvalid
            AND pg_get_indexdef(i.indexrelid) LIKE '%(type, eventstream.event_schema_version(metadata), "position")'
    ) AND (pg_relation_size('eventstream.archived_events') = 0 OR EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = 'eventstream.archived_events'::regclass AND i.indisvalid
            AND pg_get_indexdef(i.indexrelid) LIKE '%(type, eventstream.event_schema_version(metadata), "position")'
    )) THEN
        RETURN QUERY
        WITH RECURSIVE kinds AS (
            (
                SELECT e.type, eventstream.event_schema_version(e.metadata) AS schema_version
                FROM eventstream.events AS e
                ORDER BY e.type, eventstream.event_schema_version(e.metadata)
                LIMIT 1
            )
            UNION ALL
            SELECT n.type, n.schema_version
            FROM kinds AS k
            CROSS JOIN LATERAL (
                SELECT e.type, eventstream.event_schema_version(e.metadata) AS schema_version
                FROM eventstream.events AS e
                WHERE (e.type, eventstream.event_schema_version(e.metadata)) > (k.type, k.schema_version)
                ORDER BY e.type, eventstream.event_schema_version(e.metadata)
                LIMIT 1
            ) AS n
        )
        SELECT k.type, k.schema_version, c.events, f.event_id, f.stream_id, f.version
        FROM kinds AS k
        CROSS JOIN LATERAL (
            SELECT count(*) AS events, min(e.position) AS first_position
            FROM eventstream.events AS e
            WHERE e.type = k.type AND eventstream.event_schema_version(e.metadata) = k.schema_version
        ) AS c
        JOIN eventstream.events AS f ON f.position = c.first_position
        WHERE NOT EXISTS (
            SELECT FROM unnest(p_types, p_oldest, p_newest) AS a (type, oldest, newest)
            WHERE a.type = k.type AND k.schema_version BETWEEN a.oldest AND a.newest
        )
        ORDER BY k.type, k.schema_version;
    ELSE
        RETURN QUERY
        SELECT k.type, k.schema_version, k.events, f.event_id, f.stream_id, f.version
        FROM (
            SELECT
                e.type,
                eventstream.event_schema_version(e.metadata) AS schema_version,
                count(*) AS events,
                min(e.position) AS first_position
            FROM eventstream.events AS e
            GROUP BY e.type, eventstream.event_schema_version(e.metadata)
        ) AS k
        JOIN eventstream.events AS f ON f.position = k.first_position
        WHERE NOT EXISTS (
            SELECT FROM unnest(p_types, p_oldest, p_newest) AS a (type, oldest, newest)
            WHERE a.type = k.type AND k.schema_version BETWEEN a.oldest AND a.newest
        )
        ORDER BY k.type, k.schema_version;
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.unknown_event_types IS
    'Types and schema versions of events that are not among the given ones, with how many there are and the first of '
    'them. Reads the table, unless it finds index events_type_schema_idx on (type, event_schema_version(metadata), '
    'position); where events were archived, one like it on archived_events too.';
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.unknown_event_types, eventstream.event_schema_version;
