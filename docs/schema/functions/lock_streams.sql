-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_streams(p_stream_ids text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_keys integer[];
    v_ignored text;
BEGIN
    IF eventstream.may_lock(cardinality(p_stream_ids)) THEN
        v_keys := ARRAY(SELECT DISTINCT eventstream.stream_key(u.stream_id) FROM unnest(p_stream_ids) AS u (stream_id) ORDER BY 1);
        FOR i IN 1 .. cardinality(v_keys) LOOP
            v_ignored := pg_advisory_xact_lock(1163097202, v_keys[i]);
        END LOOP;
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.lock_streams(text[]) IS 'lock_stream() for the streams of a batch, in order of their keys; none at all once the transaction has asked for more than 64.';

GRANT EXECUTE ON FUNCTION eventstream.lock_streams(text[]) TO PUBLIC;
