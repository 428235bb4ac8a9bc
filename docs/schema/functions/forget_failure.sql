-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.forget_failure(p_subscription text, p_shard integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    UPDATE eventstream.subscription_shards AS h
    SET failing_position = NULL, failing_event = NULL, failing_since = NULL, tries = NULL, last_error = NULL
    WHERE h.subscription = p_subscription AND h.shard = p_shard;
END;
$function$;

COMMENT ON FUNCTION eventstream.forget_failure(text,integer) IS 'Forgets what a shard failed on: its checkpoint has passed it.';

REVOKE ALL ON FUNCTION eventstream.forget_failure(text,integer) FROM PUBLIC;
