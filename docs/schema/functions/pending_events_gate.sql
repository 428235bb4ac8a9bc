-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.pending_events_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    r record;
    v_head eventstream.streams;
    v_was text := coalesce(current_setting('eventstream.gate', true), '');
    v_gate text := set_config('eventstream.gate', 'move', true);
BEGIN
    FOR r IN
        SELECT n.stream_id, n.tenant_id, n.partition_id, min(n.version) AS first_version, max(n.version) AS last_version
        FROM new_events AS n
        GROUP BY n.stream_id, n.tenant_id, n.partition_id
        ORDER BY n.stream_id
    LOOP
        INSERT INTO eventstream.streams (current_version, partition_id, stream_id, tenant_id)
        VALUES (r.last_version, r.partition_id, r.stream_id, r.tenant_id)
        ON CONFLICT ON CONSTRAINT streams_pkey DO UPDATE
        SET current_version = greatest(streams.current_version, EXCLUDED.current_version), updated_at = clock_timestamp()
        RETURNING * INTO v_head;
        IF v_head.tenant_id <> r.tenant_id OR v_head.partition_id <> r.partition_id OR v_head.watermark >= r.first_version THEN
            PERFORM eventstream.refuse_events(r.stream_id, r.tenant_id, r.partition_id, r.first_version, r.last_version, 0);
        END IF;
    END LOOP;
    v_gate := set_config('eventstream.gate', v_was, true);
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.pending_events_gate() IS 'Trigger, after INSERT on pending_events: raises current_version of the streams, or refuses what does not belong there.';

GRANT EXECUTE ON FUNCTION eventstream.pending_events_gate() TO PUBLIC;
