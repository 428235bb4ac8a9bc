-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.list_streams(p_limit integer, p_after text DEFAULT ''::text, p_from text DEFAULT ''::text, p_to text DEFAULT NULL::text, p_tenant_id text DEFAULT NULL::text, p_partition_id integer DEFAULT NULL::integer)
 RETURNS SETOF eventstream.streams
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
DECLARE
    v_start text COLLATE "C" := greatest(p_after COLLATE "C", p_from COLLATE "C");
    -- No text of 128 bytes is above this one.
    v_to text COLLATE "C" := coalesce(p_to, repeat(chr(1114111), 33));
BEGIN
    RETURN QUERY
    SELECT s.*
    FROM (
        (
            SELECT f.stream_id
            FROM ONLY eventstream.events AS f
            WHERE f.version = 1 AND f.tenant_id = p_tenant_id AND (p_partition_id IS NULL OR f.partition_id = p_partition_id)
                AND f.stream_id >= v_start AND f.stream_id > p_after AND f.stream_id < v_to
            ORDER BY f.stream_id
            LIMIT CASE WHEN p_tenant_id IS NULL THEN 0 ELSE p_limit END
        )
        UNION ALL
        (
            SELECT f.stream_id
            FROM ONLY eventstream.events AS f
            WHERE f.version = 1 AND f.partition_id = p_partition_id
                AND f.stream_id >= v_start AND f.stream_id > p_after AND f.stream_id < v_to
            ORDER BY f.stream_id
            LIMIT CASE WHEN p_tenant_id IS NULL AND p_partition_id IS NOT NULL THEN p_limit ELSE 0 END
        )
        UNION ALL
        (
            WITH RECURSIVE walk (stream_id) AS (
                (
                    SELECT e.stream_id FROM ONLY eventstream.events AS e
                    WHERE e.stream_id >= v_start AND e.stream_id > p_after AND e.stream_id < v_to
                    ORDER BY e.stream_id LIMIT 1
                )
                UNION ALL
                SELECT (
                    SELECT e.stream_id FROM ONLY eventstream.events AS e
                    WHERE e.stream_id > w.stream_id AND e.stream_id < v_to
                    ORDER BY e.stream_id LIMIT 1
                )
                FROM walk AS w
                WHERE w.stream_id IS NOT NULL
            )
            SELECT w.stream_id FROM walk AS w WHERE w.stream_id IS NOT NULL
            LIMIT CASE WHEN p_tenant_id IS NULL AND p_partition_id IS NULL THEN p_limit ELSE 0 END
        )
        UNION ALL
        -- Streams whose first event has not arrived yet.
        SELECT DISTINCT p.stream_id
        FROM eventstream.pending_events AS p
        WHERE p.stream_id >= v_start AND p.stream_id > p_after AND p.stream_id < v_to
            AND (p_tenant_id IS NULL OR p.tenant_id = p_tenant_id) AND (p_partition_id IS NULL OR p.partition_id = p_partition_id)
            AND (SELECT true FROM ONLY eventstream.events AS e WHERE e.stream_id = p.stream_id LIMIT 1) IS NULL
        ORDER BY 1
        LIMIT p_limit
    ) AS i
    CROSS JOIN LATERAL (
        SELECT k.* FROM eventstream.streams AS k WHERE k.stream_id = i.stream_id OFFSET 0
    ) AS s
    ORDER BY i.stream_id;
END;
$function$;

COMMENT ON FUNCTION eventstream.list_streams(integer,text,text,text,text,integer) IS 'A page of streams in byte order of their ids: above p_after, from p_from on and below p_to, of a tenant, of a partition. The streams of category order are those from order- to order. (the character after -), and the stream order.';

GRANT EXECUTE ON FUNCTION eventstream.list_streams(integer,text,text,text,text,integer) TO PUBLIC;
