-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.read_log(p_after bigint, p_until bigint, p_limit integer, p_backwards boolean DEFAULT false, p_partition_ids integer[] DEFAULT NULL::integer[], p_category text DEFAULT NULL::text, p_types text[] DEFAULT NULL::text[], p_tenant_id text DEFAULT NULL::text)
 RETURNS SETOF eventstream.events
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
BEGIN
    IF p_backwards THEN
        RETURN QUERY
        SELECT e.*
        FROM eventstream.events AS e
        WHERE e.position > p_after AND e.position <= p_until
            AND (p_partition_ids IS NULL OR e.partition_id = ANY (p_partition_ids))
            AND (p_category IS NULL OR eventstream.category(e.stream_id) = p_category)
            AND (p_types IS NULL OR e.type = ANY (p_types))
            AND (p_tenant_id IS NULL OR e.tenant_id = p_tenant_id)
        ORDER BY e.position DESC
        LIMIT p_limit;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT e.*
    FROM eventstream.events AS e
    WHERE e.position > p_after AND e.position <= p_until
        AND (p_partition_ids IS NULL OR e.partition_id = ANY (p_partition_ids))
        AND (p_category IS NULL OR eventstream.category(e.stream_id) = p_category)
        AND (p_types IS NULL OR e.type = ANY (p_types))
        AND (p_tenant_id IS NULL OR e.tenant_id = p_tenant_id)
    ORDER BY e.position
    LIMIT p_limit;
END;
$function$;

COMMENT ON FUNCTION eventstream.read_log(bigint,bigint,integer,boolean,integer[],text,text[],text) IS 'Events above p_after, up to p_until, in order of position or in reverse; of some partitions, a category, some types, a tenant. p_until is a stable position that was read by an earlier statement, or log_state.stable_position.';

GRANT EXECUTE ON FUNCTION eventstream.read_log(bigint,bigint,integer,boolean,integer[],text,text[],text) TO PUBLIC;
