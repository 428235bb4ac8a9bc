-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.move_heads(p_stream_ids text[], p_tenant_ids text[], p_partition_ids integer[], p_first_versions bigint[], p_last_versions bigint[], p_first_positions bigint[], p_last_positions bigint[])
 RETURNS boolean
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
    v_moved bigint;
    v_created bigint := 0;
    r record;
BEGIN
    -- The runs come in order of stream_id, and nested loops keep it: heads are locked in that order. A head is looked up by its key, and
    -- joined by its place alone, which leaves the planner no way that reads other heads, whatever the size of the table when it
    -- planned. A head that another writer moved meanwhile is not at its place any more; it is left to move_head.
    UPDATE eventstream.streams AS s
    SET current_version = u.last_version,
        watermark = u.last_version,
        last_position = u.last_position,
        updated_at = clock_timestamp()
    FROM (
        SELECT q.*, h.place
        FROM unnest(
            p_stream_ids, p_tenant_ids, p_partition_ids, p_first_versions, p_last_versions, p_first_positions, p_last_positions
        ) AS q (stream_id, tenant_id, partition_id, first_version, last_version, first_position, last_position)
        CROSS JOIN LATERAL (
            SELECT t.ctid AS place FROM eventstream.streams AS t WHERE t.stream_id = q.stream_id OFFSET 0
        ) AS h
        OFFSET 0
    ) AS u
    WHERE s.ctid = u.place
        AND s.watermark = u.first_version - 1
        AND s.current_version = u.first_version - 1
        AND s.tenant_id = u.tenant_id
        AND s.partition_id = u.partition_id
        AND s.last_position < u.first_position;
    GET DIAGNOSTICS v_moved = ROW_COUNT;
    IF v_moved = cardinality(p_stream_ids) THEN
        RETURN true;
    END IF;

    INSERT INTO eventstream.streams (current_version, watermark, last_position, partition_id, stream_id, tenant_id)
    SELECT u.last_version, u.last_version, u.last_position, u.partition_id, u.stream_id, u.tenant_id
    FROM unnest(
        p_stream_ids, p_tenant_ids, p_partition_ids, p_first_versions, p_last_versions, p_last_positions
    ) AS u (stream_id, tenant_id, partition_id, first_version, last_version, last_position)
    WHERE u.first_version = 1
    ON CONFLICT ON CONSTRAINT streams_pkey DO NOTHING;
    GET DIAGNOSTICS v_created = ROW_COUNT;
    IF v_moved + v_created = cardinality(p_stream_ids) THEN
        RETURN true;
    END IF;

    FOR r IN
        SELECT u.*
        FROM unnest(
            p_stream_ids, p_tenant_ids, p_partition_ids, p_first_versions, p_last_versions, p_first_positions, p_last_positions
        ) AS u (stream_id, tenant_id, partition_id, first_version, last_version, first_position, last_position)
        LEFT JOIN LATERAL (
            SELECT h.last_position FROM eventstream.streams AS h WHERE h.stream_id = u.stream_id OFFSET 0
        ) AS s ON true
        WHERE s.last_position IS DISTINCT FROM u.last_position
    LOOP
        PERFORM eventstream.move_head(
            r.stream_id, r.tenant_id, r.partition_id,
            r.first_version, r.last_version, r.first_position, r.last_position);
    END LOOP;
    RETURN true;
END;
$function$;

COMMENT ON FUNCTION eventstream.move_heads(text[],text[],integer[],bigint[],bigint[],bigint[],bigint[]) IS 'move_head for the runs of many streams. For the gate alone.';

GRANT EXECUTE ON FUNCTION eventstream.move_heads(text[],text[],integer[],bigint[],bigint[],bigint[],bigint[]) TO PUBLIC;
