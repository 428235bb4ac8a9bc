-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.hold_projection(p_name text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_furthest bigint;
BEGIN
    PERFORM FROM eventstream.subscriptions AS s WHERE s.name = p_name FOR UPDATE;
    PERFORM FROM eventstream.subscription_shards AS h WHERE h.subscription = p_name FOR UPDATE;
    SELECT max(h.position) INTO v_furthest FROM eventstream.subscription_shards AS h WHERE h.subscription = p_name;
    IF v_furthest IS NULL THEN
        PERFORM eventstream.refuse_unknown_subscription(p_name);
    END IF;
    RETURN v_furthest;
END;
$function$;

COMMENT ON FUNCTION eventstream.hold_projection(text) IS 'Keeps a projection where it is until the transaction ends, and returns how far its furthest shard has come. ES010 if it is unknown.';

REVOKE ALL ON FUNCTION eventstream.hold_projection(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.hold_projection(text) TO eventstream_subscriber;
