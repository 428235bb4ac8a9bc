-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_snapshot(p_name text, p_schema_version integer, p_state bytea)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.check_name('snapshot name', p_name);
    IF (p_schema_version >= 1) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('snapshot schema version', p_schema_version::text, '1 or more');
    ELSIF (octet_length(p_state) <= 128000000) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('snapshot state', coalesce(octet_length(p_state) || ' bytes', 'NULL'),
            'at most 128,000,000 bytes, and not NULL');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_snapshot(text,integer,bytea) IS 'Raises ES008 for a snapshot with a value that the table would refuse.';

REVOKE ALL ON FUNCTION eventstream.refuse_snapshot(text,integer,bytea) FROM PUBLIC;
