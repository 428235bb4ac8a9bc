-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.events_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    v_key bigint;
    v_last bigint;
    v_stream_ids text[];
    v_tenant_ids text[];
    v_partition_ids integer[];
    v_first_versions bigint[];
    v_last_versions bigint[];
    v_first_positions bigint[];
    v_last_positions bigint[];
    v_in_order boolean;
    v_moved boolean;
    v_was text := coalesce(current_setting('eventstream.gate', true), '');
    v_gate text := set_config('eventstream.gate', 'move', true);
    r record;
    v_run record;
BEGIN
    -- One event, the common case, needs no grouping. What it needs comes from one statement: to start statements, and to prepare the
    -- expressions between them anew in each transaction, is most of what a small append costs.
    SELECT n.stream_id, n.tenant_id, n.partition_id, n.version, n.position, (SELECT count(*) FROM new_events) AS events,
        n.position > split_part(current_setting('eventstream.in_flight', true), ' ', 2)::bigint
            AND n.position <= pg_sequence_last_value('eventstream.events_position_seq'::regclass) AS drawn,
        NOT EXISTS (
            SELECT FROM new_events AS o
            WHERE o.stream_id <> n.stream_id OR o.tenant_id <> n.tenant_id OR o.partition_id <> n.partition_id
        ) AS alone
    INTO r
    FROM new_events AS n
    LIMIT 1;
    IF r.events = 1 AND r.drawn THEN
        UPDATE eventstream.streams AS s
        SET current_version = r.version,
            watermark = r.version,
            last_position = r.position,
            updated_at = clock_timestamp()
        WHERE s.stream_id = r.stream_id
            AND s.watermark = r.version - 1
            AND s.current_version = r.version - 1
            AND s.tenant_id = r.tenant_id
            AND s.partition_id = r.partition_id
            AND s.last_position < r.position;
        IF NOT FOUND THEN
            v_moved := eventstream.move_head(
                r.stream_id, r.tenant_id, r.partition_id, r.version, r.version, r.position, r.position);
        END IF;
        v_gate := set_config('eventstream.gate', v_was, true);
        RETURN NULL;
    END IF;
    IF r.events IS NULL THEN
        PERFORM eventstream.refuse_swallowed();
        v_gate := set_config('eventstream.gate', v_was, true);
        RETURN NULL;
    END IF;
    v_key := split_part(current_setting('eventstream.in_flight', true), ' ', 2)::bigint;
    v_last := pg_sequence_last_value('eventstream.events_position_seq'::regclass);
    IF r.events = 1 THEN
        PERFORM eventstream.refuse_position(r.stream_id, r.version, r.position, v_key);
    END IF;

    -- Several events of one stream: no grouping either.
    IF r.alone THEN
        SELECT min(w.version) AS first_version, max(w.version) AS last_version,
            min(w.position) AS first_position, max(w.position) AS last_position, bool_and(w.step IS NULL OR w.step = 1) AS in_order
        INTO v_run
        FROM (
            SELECT n.version, n.position, n.version - lag(n.version) OVER (ORDER BY n.position) AS step FROM new_events AS n
        ) AS w;
        IF v_run.in_order AND v_run.first_position > v_key AND v_run.last_position <= v_last THEN
            UPDATE eventstream.streams AS s
            SET current_version = v_run.last_version,
                watermark = v_run.last_version,
                last_position = v_run.last_position,
                updated_at = clock_timestamp()
            WHERE s.stream_id = r.stream_id
                AND s.watermark = v_run.first_version - 1
                AND s.current_version = v_run.first_version - 1
                AND s.tenant_id = r.tenant_id
                AND s.partition_id = r.partition_id
                AND s.last_position < v_run.first_position;
            IF FOUND THEN
                v_gate := set_config('eventstream.gate', v_was, true);
                RETURN NULL;
            END IF;
        END IF;
    END IF;

    -- Runs of versions, in order of stream_id. Rows of one stream with two tenants or partitions make two runs, and the second will not
    -- follow the head. Where all of them follow their heads or begin a stream, these move or are created in the same statement: nested loops keep the order, and heads
    -- are locked in it. A head is looked up by its key, and joined by its place alone, which leaves the planner no way that reads
    -- other heads, whatever the size of the table when it planned.
    WITH runs AS MATERIALIZED (
        SELECT
            w.stream_id,
            w.tenant_id,
            w.partition_id,
            min(w.version) AS first_version,
            max(w.version) AS last_version,
            min(w.position) AS first_position,
            max(w.position) AS last_position,
            coalesce(bool_and(w.step = 1), true) AND min(w.position) > v_key AND max(w.position) <= v_last AS in_order
        FROM (
            SELECT
                n.stream_id,
                n.tenant_id,
                n.partition_id,
                n.version,
                n.position,
                n.version - lag(n.version) OVER (
                    PARTITION BY n.stream_id, n.tenant_id, n.partition_id ORDER BY n.position
                ) AS step
            FROM new_events AS n
        ) AS w
        GROUP BY w.stream_id, w.tenant_id, w.partition_id
        ORDER BY w.stream_id
    ), places AS MATERIALIZED (
        SELECT q.*, h.place
        FROM runs AS q
        LEFT JOIN LATERAL (
            SELECT t.ctid AS place FROM eventstream.streams AS t WHERE t.stream_id = q.stream_id OFFSET 0
        ) AS h ON true
    ), created AS (
        INSERT INTO eventstream.streams (current_version, watermark, last_position, partition_id, stream_id, tenant_id)
        SELECT u.last_version, u.last_version, u.last_position, u.partition_id, u.stream_id, u.tenant_id
        FROM places AS u
        WHERE u.place IS NULL AND u.first_version = 1 AND u.in_order
        ON CONFLICT ON CONSTRAINT streams_pkey DO NOTHING
        RETURNING true
    ), moved AS (
        UPDATE eventstream.streams AS s
        SET current_version = u.last_version,
            watermark = u.last_version,
            last_position = u.last_position,
            updated_at = clock_timestamp()
        FROM places AS u
        WHERE s.ctid = u.place
            AND u.in_order
            AND s.watermark = u.first_version - 1
            AND s.current_version = u.first_version - 1
            AND s.tenant_id = u.tenant_id
            AND s.partition_id = u.partition_id
            AND s.last_position < u.first_position
        RETURNING true
    )
    SELECT (SELECT count(*) FROM places) = (SELECT count(*) FROM moved) + (SELECT count(*) FROM created)
    INTO v_moved;
    IF v_moved THEN
        v_gate := set_config('eventstream.gate', v_was, true);
        RETURN NULL;
    END IF;

    -- Streams that have a hole, were moved or created by another writer meanwhile, or must be refused.
    SELECT array_agg(g.stream_id), array_agg(g.tenant_id), array_agg(g.partition_id),
        array_agg(g.first_version), array_agg(g.last_version), array_agg(g.first_position), array_agg(g.last_position),
        bool_and(g.in_order AND g.first_position > v_key AND g.last_position <= v_last)
    INTO v_stream_ids, v_tenant_ids, v_partition_ids,
        v_first_versions, v_last_versions, v_first_positions, v_last_positions,
        v_in_order
    FROM (
        SELECT
            w.stream_id,
            w.tenant_id,
            w.partition_id,
            min(w.version) AS first_version,
            max(w.version) AS last_version,
            min(w.position) AS first_position,
            max(w.position) AS last_position,
            coalesce(bool_and(w.step = 1), true) AS in_order
        FROM (
            SELECT
                n.stream_id,
                n.tenant_id,
                n.partition_id,
                n.version,
                n.position,
                n.version - lag(n.version) OVER (
                    PARTITION BY n.stream_id, n.tenant_id, n.partition_id ORDER BY n.position
                ) AS step
            FROM new_events AS n
        ) AS w
        GROUP BY w.stream_id, w.tenant_id, w.partition_id
        ORDER BY w.stream_id
    ) AS g;
    IF v_in_order IS NOT TRUE THEN
        PERFORM eventstream.refuse_runs(
            array_agg(n.stream_id), array_agg(n.version), array_agg(n.position), v_key, v_last)
        FROM new_events AS n;
    END IF;
    IF cardinality(v_stream_ids) = 1 THEN
        v_moved := eventstream.move_head(v_stream_ids[1], v_tenant_ids[1], v_partition_ids[1],
            v_first_versions[1], v_last_versions[1], v_first_positions[1], v_last_positions[1]);
    ELSE
        v_moved := eventstream.move_heads(v_stream_ids, v_tenant_ids, v_partition_ids,
            v_first_versions, v_last_versions, v_first_positions, v_last_positions);
    END IF;
    v_gate := set_config('eventstream.gate', v_was, true);
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.events_gate() IS 'Trigger, after INSERT on events: demands that the new rows follow their streams, and moves the heads.';

GRANT EXECUTE ON FUNCTION eventstream.events_gate() TO PUBLIC;
