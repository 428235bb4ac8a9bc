-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.create_heads(p_stream_ids text[], p_expected bigint[], p_tenant_ids text[], p_partition_ids integer[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    v_ignored text;
BEGIN
    v_ignored := set_config('eventstream.gate', 'create', true);
    INSERT INTO eventstream.streams AS s (partition_id, stream_id, tenant_id)
    SELECT
        -- The row of a head that is seen stays, and this value is not used: the hash is spared.
        CASE
            WHEN u.is_there THEN 0
            ELSE coalesce(u.partition_id, eventstream.partition_of(u.stream_id, eventstream.partition_count()))
        END,
        u.stream_id,
        coalesce(u.tenant_id, 'default')
    FROM (
        SELECT DISTINCT ON (q.stream_id COLLATE "C")
            q.stream_id, nullif(q.tenant_id, '') AS tenant_id, nullif(q.partition_id, -1) AS partition_id,
            (SELECT true FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id) AS is_there
        FROM unnest(p_stream_ids, p_expected, p_tenant_ids, p_partition_ids)
            WITH ORDINALITY AS q (stream_id, expected, tenant_id, partition_id, ordinality)
        -- Of several requests for a new stream, the first that can create it decides where it goes. One that cannot has its head
        -- all the same, to hold the lock; it is dropped when it stays empty.
        ORDER BY q.stream_id COLLATE "C", q.expected NOT IN (-3, -1, 0), q.ordinality
    ) AS u
    ORDER BY u.stream_id COLLATE "C"
    ON CONFLICT ON CONSTRAINT streams_pkey DO UPDATE SET stream_id = EXCLUDED.stream_id WHERE false;
    v_ignored := set_config('eventstream.gate', '', true);
END;
$function$;

COMMENT ON FUNCTION eventstream.create_heads(text[],bigint[],text[],integer[]) IS 'create_head for many streams: creates the heads that are missing and locks them all. For append_batch alone.';

GRANT EXECUTE ON FUNCTION eventstream.create_heads(text[],bigint[],text[],integer[]) TO PUBLIC;
