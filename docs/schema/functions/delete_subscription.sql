-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.delete_subscription(p_name text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
BEGIN
    DELETE FROM eventstream.subscriptions AS s WHERE s.name = v_is.name;
END;
$function$;

COMMENT ON FUNCTION eventstream.delete_subscription(text) IS 'Removes a subscription, its checkpoints and what it had parked; what was skipped stays on record. ES010 if it is unknown.';

REVOKE ALL ON FUNCTION eventstream.delete_subscription(text) FROM PUBLIC;
