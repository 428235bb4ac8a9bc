-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tell_erasure(p_stream_id text, p_from_version bigint, p_to_version bigint, p_events bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_stream record;
BEGIN
    SELECT e.tenant_id, e.partition_id INTO v_stream
    FROM eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version = p_from_version;
    IF FOUND THEN
        -- One stream for each tenant and partition: told in the shard that handled the events.
        PERFORM eventstream.append(format('$erasures-%s-%s', v_stream.tenant_id, v_stream.partition_id), '$erased',
            jsonb_build_object('stream_id', p_stream_id, 'from_version', p_from_version, 'to_version', p_to_version, 'events', p_events),
            p_tenant_id => v_stream.tenant_id, p_partition_id => v_stream.partition_id);
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.tell_erasure(text,bigint,bigint,bigint) IS 'Appends the event $erased to the stream $erasures-<tenant>-<partition>. For erase() alone.';

REVOKE ALL ON FUNCTION eventstream.tell_erasure(text,bigint,bigint,bigint) FROM PUBLIC;
