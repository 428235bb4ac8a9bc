-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.release_shard(p_subscription text, p_shard integer, p_epoch bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    UPDATE eventstream.subscription_shards AS h
    SET member_id = NULL
    WHERE h.subscription = p_subscription AND h.shard = p_shard AND h.epoch = p_epoch AND h.member_id IS NOT NULL;
    RETURN FOUND;
END;
$function$;

COMMENT ON FUNCTION eventstream.release_shard(text,integer,bigint) IS 'Gives a shard back if it is still owned in p_epoch. Returns whether it was.';

REVOKE ALL ON FUNCTION eventstream.release_shard(text,integer,bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.release_shard(text,integer,bigint) TO eventstream_subscriber;
