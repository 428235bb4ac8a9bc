-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.pause_subscription(p_name text, p_paused boolean)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
BEGIN
    IF v_is.delivery = 'projection' AND v_is.tables_id IS NULL AND NOT p_paused THEN
        PERFORM eventstream.refuse_tables(p_name, 'its tables are not complete',
            'Let its rebuild finish, or rebuild it again if that was interrupted.');
    END IF;
    UPDATE eventstream.subscriptions AS s SET paused = p_paused WHERE s.name = v_is.name;
END;
$function$;

COMMENT ON FUNCTION eventstream.pause_subscription(text,boolean) IS 'Takes the shards from their owners; while p_paused is set, nobody can claim them. ES016 for a projection that would go on without complete tables.';

REVOKE ALL ON FUNCTION eventstream.pause_subscription(text,boolean) FROM PUBLIC;
