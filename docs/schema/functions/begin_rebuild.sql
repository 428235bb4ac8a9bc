-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.begin_rebuild(p_name text, p_shard_count integer, p_rebuild_shard_count integer, p_filter jsonb, p_in_place boolean)
 RETURNS TABLE(rebuild text, tables_id uuid)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions := eventstream.lock_projection(p_name, p_shard_count, p_filter);
    v_tables_id uuid := gen_random_uuid();
    v_rebuild text := format('%s:rebuild:%s', p_name, left(v_tables_id::text, 8));
    v_fits boolean;
BEGIN
    -- Judged again by the last step, which may be hours away.
    PERFORM eventstream.check_shard_count(p_shard_count);
    PERFORM eventstream.refuse_strange_schema(p.schema, p_name, CASE WHEN p.schema = p_name THEN v_is.tables_id END)
    FROM unnest(ARRAY[p_name, '_' || p_name || '_rebuild', '_' || p_name || '_old']) AS p (schema);
    -- Earlier attempts, which nobody works on: the caller holds the lock.
    PERFORM eventstream.delete_subscription(s.name) FROM eventstream.subscriptions AS s WHERE s.rebuilds = p_name;
    SELECT p.tables_id IS NOT DISTINCT FROM v_is.tables_id INTO v_fits FROM eventstream.projection_schema(p_name, p_name) AS p;
    IF p_in_place OR NOT v_fits THEN
        PERFORM eventstream.fence_subscription(p_name);
        -- What is parked is handled with all the rest.
        DELETE FROM eventstream.parked_events AS k WHERE k.subscription = p_name;
        UPDATE eventstream.subscriptions AS s SET tables_id = NULL WHERE s.name = p_name;
    END IF;
    IF NOT eventstream.create_subscription(
        v_rebuild, p_rebuild_shard_count, 'projection', p_filter, '{"from": "beginning"}', v_tables_id, p_name) THEN
        PERFORM eventstream.refuse_tables(p_name, format('subscription %L exists already', v_rebuild), 'Rebuild it again.');
    END IF;
    RETURN QUERY SELECT v_rebuild, v_tables_id;
END;
$function$;

COMMENT ON FUNCTION eventstream.begin_rebuild(text,integer,integer,jsonb,boolean) IS 'Creates the subscription that a projection is rebuilt through, and returns its name and the id of the new tables. Forgets earlier attempts. Where the live tables are emptied, or do not fit their checkpoint, the projection is owned by nobody until the rebuild is done.';

REVOKE ALL ON FUNCTION eventstream.begin_rebuild(text,integer,integer,jsonb,boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.begin_rebuild(text,integer,integer,jsonb,boolean) TO eventstream_subscriber;
