-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.fence_subscription(p_name text)
 RETURNS eventstream.subscriptions
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions;
BEGIN
    SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM eventstream.refuse_unknown_subscription(p_name);
    END IF;
    UPDATE eventstream.subscription_shards AS h SET epoch = h.epoch + 1, member_id = NULL WHERE h.subscription = p_name;
    RETURN v_is;
END;
$function$;

COMMENT ON FUNCTION eventstream.fence_subscription(text) IS 'Takes the shards of a subscription from their owners; ES010 if it is unknown.';

REVOKE ALL ON FUNCTION eventstream.fence_subscription(text) FROM PUBLIC;
