-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.count_streams(p_from text DEFAULT ''::text, p_to text DEFAULT NULL::text, p_tenant_id text DEFAULT NULL::text, p_partition_id integer DEFAULT NULL::integer)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
DECLARE
    v_to text COLLATE "C" := coalesce(p_to, repeat(chr(1114111), 33));
BEGIN
    RETURN (
        SELECT count(*)
        FROM ONLY eventstream.events AS f
        WHERE f.version = 1
            AND (p_tenant_id IS NULL OR f.tenant_id = p_tenant_id)
            AND (p_partition_id IS NULL OR f.partition_id = p_partition_id)
            AND f.stream_id >= p_from AND f.stream_id < v_to
    ) + (
        SELECT count(DISTINCT p.stream_id)
        FROM eventstream.pending_events AS p
        WHERE (SELECT true FROM ONLY eventstream.events AS e WHERE e.stream_id = p.stream_id LIMIT 1) IS NULL
            AND (p_tenant_id IS NULL OR p.tenant_id = p_tenant_id)
            AND (p_partition_id IS NULL OR p.partition_id = p_partition_id)
            AND p.stream_id >= p_from AND p.stream_id < v_to
    );
END;
$function$;

COMMENT ON FUNCTION eventstream.count_streams(text,text,text,integer) IS 'How many streams there are, from p_from on and below p_to, of a tenant, of a partition: those that list_streams() would list.';

GRANT EXECUTE ON FUNCTION eventstream.count_streams(text,text,text,integer) TO PUBLIC;
