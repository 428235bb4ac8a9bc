-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_values(p_stream_id text, p_tenant_id text, p_partition_id integer, p_type text, p_metadata jsonb, p_occurred_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.check_name('stream_id', p_stream_id);
    IF NOT eventstream.is_tenant_id(p_tenant_id) THEN
        PERFORM eventstream.refuse_value('tenant_id', p_tenant_id, '1 to 64 of the characters A-Z a-z 0-9 _ -');
    ELSIF NOT eventstream.is_partition(p_partition_id) THEN
        PERFORM eventstream.refuse(
            'ES007',
            format('partition %s does not exist: this store has partitions 0 to %s', p_partition_id, eventstream.partition_count() - 1),
            jsonb_build_object('partition_id', p_partition_id, 'partition_count', eventstream.partition_count()),
            'Leave the partition out, or take one from 0 to partition_count - 1.');
    END IF;
    PERFORM eventstream.check_name('event_type', p_type);
    IF jsonb_typeof(p_metadata) <> 'object' THEN
        PERFORM eventstream.refuse_value('metadata', p_metadata::text, 'a JSON object');
    ELSIF NOT eventstream.is_time(p_occurred_at) THEN
        PERFORM eventstream.refuse_value('occurred_at', p_occurred_at::text,
            'a time in the years 1 to 9999, and not 0001-01-01 00:00:00 UTC');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_values(text,text,integer,text,jsonb,timestamp with time zone) IS 'Raises ES008 or ES007 for the first of the values that breaks its rule; returns if none does.';

REVOKE ALL ON FUNCTION eventstream.refuse_values(text,text,integer,text,jsonb,timestamp with time zone) FROM PUBLIC;
