-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.fence_rebuild_of(p_name text, p_position bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_rebuild text := (SELECT s.name FROM eventstream.subscriptions AS s WHERE s.rebuilds = p_name);
BEGIN
    IF v_rebuild IS NULL OR NOT eventstream.is_rebuilding(p_name) THEN
        RETURN;
    END IF;
    PERFORM eventstream.fence_shard_of(v_rebuild, p_position);
    IF EXISTS (
        SELECT FROM eventstream.events AS e
        JOIN eventstream.subscriptions AS s ON s.name = v_rebuild
        JOIN eventstream.subscription_shards AS h ON h.subscription = s.name AND h.shard = e.partition_id % s.shard_count
        WHERE e.position = p_position AND h.position >= p_position
            AND NOT EXISTS (
                SELECT FROM eventstream.parked_events AS k WHERE k.subscription = v_rebuild AND k.position = p_position)
            AND NOT EXISTS (
                SELECT FROM eventstream.subscription_skips AS k WHERE k.subscription = p_name AND k.position = p_position)
    ) THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('its rebuild has applied the event at position %s, and a skip would not undo that', p_position),
            'Skip it once the rebuild has ended, if that is still needed, and rebuild once more.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.fence_rebuild_of(text,bigint) IS 'Makes a rebuild that runs heed a skip; ES016 if it is past the event.';

REVOKE ALL ON FUNCTION eventstream.fence_rebuild_of(text,bigint) FROM PUBLIC;
