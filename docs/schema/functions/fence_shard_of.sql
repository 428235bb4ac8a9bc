-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.fence_shard_of(p_name text, p_position bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    UPDATE eventstream.subscription_shards AS h
    SET epoch = h.epoch + 1, member_id = NULL
    FROM eventstream.events AS e
    JOIN eventstream.subscriptions AS s ON s.name = p_name
    WHERE e.position = p_position
        AND h.subscription = p_name AND h.shard = e.partition_id % s.shard_count AND h.position < p_position;
END;
$function$;

COMMENT ON FUNCTION eventstream.fence_shard_of(text,bigint) IS 'Takes the shard of an event from its owner, unless it is past the event.';

REVOKE ALL ON FUNCTION eventstream.fence_shard_of(text,bigint) FROM PUBLIC;
