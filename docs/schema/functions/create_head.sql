-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.create_head(p_stream_id text, p_tenant_id text, p_partition_id integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
DECLARE
    v_created boolean;
    v_ignored text := set_config('eventstream.gate', 'create', true);
BEGIN
    -- Waits for another transaction that creates this stream: false when it won, and its head is then there to be locked.
    INSERT INTO eventstream.streams (partition_id, stream_id, tenant_id)
    VALUES (
        coalesce(p_partition_id, eventstream.partition_of(p_stream_id, eventstream.partition_count())),
        p_stream_id,
        coalesce(p_tenant_id, 'default'))
    ON CONFLICT ON CONSTRAINT streams_pkey DO NOTHING;
    v_created := FOUND;
    v_ignored := set_config('eventstream.gate', '', true);
    RETURN v_created;
END;
$function$;

COMMENT ON FUNCTION eventstream.create_head(text,text,integer) IS 'Creates the empty head of a stream and holds its lock; false when another transaction created it first. For append and ingest.';

GRANT EXECUTE ON FUNCTION eventstream.create_head(text,text,integer) TO PUBLIC;
