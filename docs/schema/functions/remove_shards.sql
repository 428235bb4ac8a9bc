-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.remove_shards(p_name text)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_epoch bigint;
BEGIN
    WITH gone AS (
        DELETE FROM eventstream.subscription_shards AS h WHERE h.subscription = p_name RETURNING h.epoch
    )
    SELECT max(g.epoch) INTO v_epoch FROM gone AS g;
    RETURN v_epoch;
END;
$function$;

COMMENT ON FUNCTION eventstream.remove_shards(text) IS 'Removes the shards of a fenced subscription. Returns their highest epoch.';

REVOKE ALL ON FUNCTION eventstream.remove_shards(text) FROM PUBLIC;
