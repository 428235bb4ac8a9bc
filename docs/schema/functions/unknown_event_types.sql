-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.unknown_event_types(p_types text[], p_oldest integer[], p_newest integer[])
 RETURNS TABLE(type text, schema_version integer, events bigint, event_id uuid, stream_id text, version bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.unknown_event_types(text[],integer[],integer[]) IS 'Types and schema versions of events that are not among the given ones, with how many there are and the first of them. Reads the table, unless it finds index events_type_schema_idx on (type, event_schema_version(metadata), position); where events were archived, one like it on archived_events too.';

GRANT EXECUTE ON FUNCTION eventstream.unknown_event_types(text[],integer[],integer[]) TO PUBLIC;
