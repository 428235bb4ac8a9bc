-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_partition(p_stream_id text, p_stream_partition integer, p_event_partition integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES007',
        format('stream %L is in partition %s, the event in partition %s', p_stream_id, p_stream_partition, p_event_partition),
        jsonb_build_object('stream_id', p_stream_id, 'stream_partition', p_stream_partition,
            'event_partition', p_event_partition),
        'A stream stays in the partition that it was created in. Give that one, or none.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_partition(text,integer,integer) IS 'Raises ES007 (partition mismatch). Never returns.';

REVOKE ALL ON FUNCTION eventstream.refuse_partition(text,integer,integer) FROM PUBLIC;
