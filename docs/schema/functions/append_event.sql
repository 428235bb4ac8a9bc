-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.append_event(p_stream_id text, p_expected bigint, p_event_id uuid, p_type text, p_payload jsonb, p_data bytea, p_metadata jsonb, p_occurred_at timestamp with time zone, p_tenant_id text, p_partition_id integer, OUT outcome text, OUT first_version bigint, OUT last_version bigint, OUT last_position bigint, OUT current_version bigint, OUT watermark bigint, OUT tenant_id text)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    -- Of the types of the columns: what comes from a head was judged when the stream began, and is not judged again.
    v_stream_id eventstream.stream_id;
    v_tenant_id eventstream.tenant_id;
    v_partition_id eventstream.partition_id;
    v_current bigint;
BEGIN
    -- Locked before the version is checked, and that before a position is drawn.
    SELECT s.stream_id, s.tenant_id, s.partition_id, s.current_version
    INTO v_stream_id, v_tenant_id, v_partition_id, v_current
    FROM eventstream.streams AS s
    WHERE s.stream_id = p_stream_id
        AND eventstream.judge(p_expected, p_tenant_id, s.tenant_id, s.current_version, s.watermark) IS NULL
        AND coalesce(s.partition_id = p_partition_id, true)
    FOR NO KEY UPDATE;
    IF NOT FOUND AND p_expected IN (-3, -1, 0) THEN
        -- Not there, as a rule; if it is there and refuses, its head is not created, and append_batch says why.
        v_stream_id := p_stream_id;
        v_tenant_id := coalesce(p_tenant_id, 'default');
        v_partition_id := coalesce(p_partition_id, eventstream.partition_of(p_stream_id, eventstream.partition_count()));
        v_current := CASE WHEN eventstream.create_head(p_stream_id, v_tenant_id, v_partition_id) THEN 0 END;
    END IF;
    IF v_current IS NOT NULL THEN
        -- The look for a repeated event comes after the lock, in a snapshot of its own: it sees what another writer of the stream wrote.
        INSERT INTO eventstream.events AS e (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT
            v_current + 1,
            coalesce(p_event_id, eventstream.uuid_v7()),
            coalesce(p_occurred_at, clock_timestamp()),
            v_partition_id,
            v_stream_id,
            v_tenant_id,
            p_type,
            coalesce(p_payload, 'null'),
            p_data,
            coalesce(p_metadata, '{}')
        WHERE NOT EXISTS (SELECT FROM eventstream.events AS d WHERE d.event_id = p_event_id)
        RETURNING 'appended', e.version, e.version, e.position, e.version, e.version, e.tenant_id
        INTO outcome, first_version, last_version, last_position, current_version, watermark, tenant_id;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    SELECT b.outcome, b.first_version, b.last_version, b.last_position, b.current_version, b.watermark, b.tenant_id
    INTO outcome, first_version, last_version, last_position, current_version, watermark, tenant_id
    FROM eventstream.append_batch(
        ARRAY[p_stream_id], ARRAY[p_expected], ARRAY[1], ARRAY[p_event_id], ARRAY[p_type], ARRAY[p_payload],
        ARRAY[p_data], ARRAY[p_metadata], ARRAY[p_occurred_at], ARRAY[p_tenant_id], ARRAY[coalesce(p_partition_id, -1)]) AS b;
END;
$function$;

COMMENT ON FUNCTION eventstream.append_event(text,bigint,uuid,text,jsonb,bytea,jsonb,timestamp with time zone,text,integer) IS 'append_batch for one event, faster: the same rules and the same outcome. p_expected: n exactly, -1 any, -2 exists, -3 empty.';

REVOKE ALL ON FUNCTION eventstream.append_event(text,bigint,uuid,text,jsonb,bytea,jsonb,timestamp with time zone,text,integer) FROM PUBLIC;
