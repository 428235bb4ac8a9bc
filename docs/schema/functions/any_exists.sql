-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.any_exists(p_event_ids uuid[])
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
BEGIN
    RETURN EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids));
END;
$function$;

COMMENT ON FUNCTION eventstream.any_exists(uuid[]) IS 'Whether one of these events is stored.';

REVOKE ALL ON FUNCTION eventstream.any_exists(uuid[]) FROM PUBLIC;
